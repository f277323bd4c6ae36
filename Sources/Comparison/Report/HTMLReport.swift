internal import Console
internal import Metrics
internal import Plots
internal import Training

/// `report.html`: everything that a comparison found, in one file that needs no other.
struct HTMLReport {
  private let table: ComparisonTable
  private let tests: MethodTests
  private let data: ComparisonData
  private let showsPublished: Bool

  init(_ table: ComparisonTable, _ tests: MethodTests, _ data: ComparisonData, showsPublished: Bool) throws {
    (self.table, self.tests, self.data, self.showsPublished) = (table, tests, data, showsPublished)
  }

  /// The file's content.
  var text: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Comparison of fine-tuning methods</title>
    <style>
    \(HTMLReport.style)\(StyleSheet.rules(.automatic))</style>
    </head>
    <body>
    <h1>Comparison of fine-tuning methods</h1>
    \(introduction)\(results)\(trade)\(curves)\(confusion)\(reviews)</body>
    </html>

    """
  }

  private static let style = """
    :root { color-scheme: light dark; }
    body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, "Noto Sans", "Noto Sans KR", sans-serif;
      max-width: 1400px; margin: 2rem auto; padding: 0 1rem; color: \(Palette.light.ink); background: \(Palette.light.paper); }
    h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
    table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
    th, td { padding: 0.25rem 0.5rem; border-bottom: 1px solid \(Palette.light.grid); text-align: right; white-space: nowrap; }
    th { white-space: normal; vertical-align: bottom; }
    th:first-child, td:first-child, .text { text-align: left; }
    td.text { white-space: normal; overflow-wrap: anywhere; min-width: 20rem; }
    .plots { display: flex; flex-wrap: wrap; gap: 1rem; }
    .plots svg { max-width: 100%; height: auto; }
    p { max-width: 50rem; color: \(Palette.light.muted); }
    @media (prefers-color-scheme: dark) {
      body { color: \(Palette.dark.ink); background: \(Palette.dark.paper); }
      th, td { border-color: \(Palette.dark.grid); } p { color: \(Palette.dark.muted); }
    }

    """

  /// A table; the cells of a column named `text` are texts.
  static func table(_ headings: [String], _ rows: [[String]]) -> String {
    let texts = headings.map { $0 == "text" }
    func cells(_ row: [String], _ tag: String) -> String {
      row.enumerated().map { index, cell in
        "<\(tag)\(texts[index] ? " class=\"text\"" : "")>\(escaped(cell))</\(tag)>"
      }.joined()
    }
    return "<table>\n<thead><tr>\(cells(headings, "th"))</tr></thead>\n<tbody>\n"
      + rows.map { "<tr>\(cells($0, "td"))</tr>\n" }.joined() + "</tbody>\n</table>\n"
  }

  private func plots(_ images: [String]) -> String { "<div class=\"plots\">\n\(images.joined())</div>\n" }

  // MARK: Sections

  private var introduction: String {
    guard let first = table.cells.first else { return "" }
    let (run, results) = (first.cell.configuration, first.results)
    let seeds = unique(table.cells.map(\.cell.seed)).map { "\($0)" }.joined(separator: ", ")
    let base = run.base ?? "the embedded demo"
    return
      "<p>\(escaped(base)), \(first.cell.length), seeds \(seeds), \(Format.count(results.summary.reviews)) test reviews, \(table.place). ± and error bars are the deviation over seeds.</p>\n"
  }

  private var results: String {
    var rows = table.rows.map(table.cellTexts)
    if showsPublished { rows += PublishedFigures.all.map(\.cellTexts) }
    var text =
      "<h2>Results</h2>\n"
      + HTMLReport.table(
        [
          "method", "reviews", "time/epoch", "ratio", "accuracy", "precision", "recall", "F1", "trained",
          "all-reduce",
        ], rows)
    guard !tests.pairs.isEmpty else { return text }
    text +=
      "<h3>McNemar’s test between methods</h3>\n<p>p is the chance of a difference this large between equally good methods, on the same test reviews, for each seed.</p>\n"
      + HTMLReport.table(
        ["first", "second", "reviews", "accuracy, first − second", "only first right", "only second right", "p"],
        tests.pairs.map(tests.cellTexts))
    return text
  }

  private var trade: String {
    let plots = ReportPlots(table, showsPublished: showsPublished)
    return "<h2>What accuracy costs</h2>\n"
      + table.trainCounts.map { self.plots([plots.share($0).svg(nil), plots.time($0).svg(nil)]) }.joined()
  }

  private var curves: String {
    let curves = LearningCurves(table)
    return "<h2>Learning curves</h2>\n<p>Of the first seed; the loss is the mean since the point before.</p>\n"
      + table.trainCounts.map { count in
        plots([curves.loss(count).svg(nil)] + (curves.accuracy(count).map { [$0.svg(nil)] } ?? []))
      }.joined()
  }

  private var confusion: String {
    "<h2>Confusion matrices</h2>\n<p>Counts over all seeds.</p>\n"
      + table.trainCounts.map { count in
        "<h3>\(Format.count(count)) reviews</h3>\n"
          + plots(ReviewFindings(table, tests, data, count).confusion.map { $0.svg(nil) })
      }.joined()
  }

  private var reviews: String {
    table.trainCounts.map { count in
      let findings = ReviewFindings(table, tests, data, count)
      var text = "<h2>Which reviews, after training on \(Format.count(count))</h2>\n"
      if let seen = findings.seenAndUnseen {
        text +=
          "<h3>With and without test reviews whose text also occurs in training</h3>\n"
          + HTMLReport.table(seen.headings, seen.rows)
      }
      text += "<h3>By length</h3>\n" + plots([findings.lengthPlot.svg(nil)])
      text += HTMLReport.table(findings.lengths.headings, findings.lengths.rows)
      text += "<h3>Most confident mistakes</h3>\n<p>Of the first seed.</p>\n"
      for (method, rows) in findings.mistakes {
        text +=
          "<details><summary>\(escaped(method))</summary>\n"
          + HTMLReport.table(["line", "truth", "prediction", "probability", "text"], rows) + "</details>\n"
      }
      return text
    }.joined()
  }
}
