import FoundationEssentials
import FoundationXML
import Plots
import Testing

/// What a plot's SVG holds.
@Suite("Plots") struct PlotTests {
  private var plot: Plot {
    var plot = Plot(
      "Accuracy & <time>", x: Axis("trained (%)", scale: .log(base: 10), format: .percent),
      y: Axis("accuracy", format: .figure),
      [
        Series("full", [Point(1, 0.8, yRange: 0.79...0.81, label: "full")], style: Style(0), form: .markers),
        Series(
          "LoRA \"r\"", [Point(0.01, 0.78), Point(0.02, 0.79), Point(0, 0.5)], style: Style(1)),
        Series("paper", [Point(0.01, 0.7), Point(1, 0.87)], style: nil, form: .line),
      ])
    plot.references = [ReferenceLine(0.75, "published")]
    return plot
  }

  @Test("Every kind of plot is well-formed, names itself, and comes out the same twice")
  func wellFormed() throws {
    let grid = CountGrid("full <1>", classes: ["negative", "positive"], counts: [[40, 10], [5, 45]])
    let themes: [Theme?] = [.automatic, .light, .dark, nil]
    let kinds: [(Theme?) -> String] = [{ plot.svg($0) }, { grid.svg($0) }]
    for make in kinds {
      for theme in themes {
        let svg = make(theme)
        #expect(XMLParser(data: Data(svg.utf8)).parse(), "\(svg)")
        #expect(svg == make(theme))
        #expect(svg.contains("role=\"img\"") && svg.contains("<title>"))
        #expect(svg.contains("<style>") == (theme != nil))
      }
    }
  }

  @Test("a title of one long word is cut after its colons and equals signs")
  func longTitles() {
    let name = "lora:16:lora-targets=all-linear"
    let svg = CountGrid(name, classes: ["0", "1"], counts: [[4, 1], [2, 3]]).svg(nil)
    #expect(svg.contains(">lora:16:lora-targets=</text>") && svg.contains(">all-linear</text>"))
    #expect(!CountGrid("lora:16", classes: ["0", "1"], counts: [[4, 1], [2, 3]]).svg(nil).contains(">16</text>"))
  }

  @Test("a point's word does not stand on the name of a line")
  func wordsBesideNames() throws {
    func left(_ text: String, in svg: String) throws -> Double {
      let line = try #require(svg.split(separator: "\n").first { $0.contains(">\(text)</text>") })
      let found = try #require(line.firstMatch(of: /x="([0-9.]+)"/))
      return try #require(Double(found.1))
    }
    var plot = Plot(
      "Words", x: Axis("share"), y: Axis("accuracy"),
      [
        Series("low", [Point(0, 0.7)], style: Style(0), form: .markers),
        Series("last", [Point(1, 0.8, label: "the last one")], style: Style(1), form: .markers),
      ])
    plot.references = [ReferenceLine(0.8, "published")]
    let svg = plot.svg()
    #expect(try left("the last one", in: svg) + 60 < left("published", in: svg))
  }

  @Test("Titles, units, names and values are there, escaped")
  func content() {
    let svg = plot.svg()
    for text in [
      "Accuracy &amp; &lt;time&gt;", "trained (%)", ">accuracy<", "LoRA &quot;r&quot;", ">published<",
      "<title>full, full: 100 %, .800</title>",
    ] { #expect(svg.contains(text), "\(text)") }
    #expect(svg.contains("prefers-color-scheme: dark"))
  }

  @Test("A value that a logarithmic axis cannot show is left out")
  func leftOut() {
    let markers = plot.svg().components(separatedBy: "class=\"marker f1\"").count - 1
    #expect(markers == 3, "two points and the legend's")
    #expect(!plot.svg().contains("nan") && !plot.svg().contains("inf\""))
  }

  @Test("Nothing is drawn outside the image, however odd the data")
  func extremes() {
    let odd: [[Point]] = [[], [Point(1e300, -1e300), Point(-1e300, 1e300)], [Point(.nan, .infinity)], [Point(5, 5)]]
    for points in odd {
      let svg = Plot("odd", x: Axis("x"), y: Axis("y"), [Series("s", points, style: Style(0))]).svg()
      #expect(XMLParser(data: Data(svg.utf8)).parse())
    }
  }

  @Test("A line that leaves the range is cut at its edge")
  func clipping() throws {
    let box = Box(left: 0, top: 0, right: 10, bottom: 10)
    let (start, end) = try #require(box.clip(Pixel(x: -10, y: 5), Pixel(x: 20, y: 5)))
    #expect(start == Pixel(x: 0, y: 5) && end == Pixel(x: 10, y: 5))
    #expect(box.clip(Pixel(x: -5, y: -5), Pixel(x: -1, y: 20)) == nil)
    let inner = try #require(box.clip(Pixel(x: 1, y: 1), Pixel(x: 9, y: 3)))
    #expect(inner.start == Pixel(x: 1, y: 1) && inner.end == Pixel(x: 9, y: 3))
  }

  @Test("Every colour of a series stands out from the paper, in light and in dark")
  func contrast() {
    for colours in [Palette.light, Palette.dark] {
      for colour in colours.series + [colours.muted] {
        #expect(contrastRatio(colour, colours.paper) >= 3, "\(colour) on \(colours.paper)")
      }
      #expect(contrastRatio(colours.ink, colours.paper) >= 12)
      #expect(Set(colours.series).count == colours.series.count)
    }
  }

  @Test("Neighbouring styles differ in marker and dash, not only in colour")
  func styles() {
    let markers = (0..<8).map { Style($0).marker(0, 0) }
    #expect(Set(markers).count == 8)
    #expect(Set((0..<8).map { Style($0).dash }).count == 8)
  }

  @Test("Names at the right keep apart and in order")
  func spreading() {
    let positions = spread([10, 12, 13, 80], apart: 14)
    for (a, b) in zip(positions, positions.dropFirst()) { #expect(b - a >= 14 - 1e-3) }
    #expect(positions[3] == 80)
    let middle = positions.prefix(3).reduce(0, +) / 3
    #expect(abs(middle - 35.0 / 3) < 1e-6)
  }

  @Test("Text is escaped for markup, and what XML cannot hold is replaced")
  func escaping() {
    #expect(escaped("a<b>&\"'\u{1}가") == "a&lt;b&gt;&amp;&quot;&#39;\u{FFFD}가")
    #expect(coordinate(-0.001) == "0")
    #expect(coordinate(12.345) == "12.35")
    #expect(coordinate(.nan) == "0")
  }

  /// WCAG's ratio of two colours' luminance.
  private func contrastRatio(_ a: String, _ b: String) -> Double {
    func luminance(_ colour: String) -> Double {
      let value = Int(colour.dropFirst(), radix: 16) ?? 0
      let channels = [16, 8, 0].map { shift -> Double in
        let c = Double((value >> shift) & 255) / 255
        return c <= 0.04045 ? c / 12.92 : pow24((c + 0.055) / 1.055)
      }
      return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
    }
    let (x, y) = (luminance(a), luminance(b))
    return (max(x, y) + 0.05) / (min(x, y) + 0.05)
  }

  private func pow24(_ x: Double) -> Double {
    // x^2.4 by x² · x^0.4, the latter from the fifth root.
    var root = 1.0
    for _ in 0..<60 { root -= (root * root * root * root * root - x * x) / (5 * root * root * root * root) }
    return x * x * root
  }
}
