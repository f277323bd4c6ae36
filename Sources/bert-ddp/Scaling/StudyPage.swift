import Console
import ScalingModel
import Training

extension StudyReport {
  /// `study.md`: the study as a page, which says of each number whether it was measured or predicted.
  var page: String {
    var parts = ["# A scaling study", introduction, "## Measured"]
    for growth in study.plan.growths {
      parts += [
        "### \(growth == .strong ? "Strong" : "Weak") scaling",
        growth == .strong
          ? "The same \(study.plan.batch) reviews a step on more ranks."
          : "\(study.plan.batch) reviews a step for each rank.",
        measuredTable(growth).markdown(), "![Efficiency, \(growth.rawValue)](efficiency-\(growth.rawValue).svg)",
        "![Rate, \(growth.rawValue)](rate-\(growth.rawValue).svg)",
      ]
    }
    if isCrowded { parts.append("\\" + StudyReport.crowdedNote) }
    parts += [
      """
      Rates are medians of \(study.plan.repetitions) repetitions of \(study.options.maxSteps) steps after \
      \(study.options.warmupSteps) of warm-up; settings took turns. Speed-up and efficiency compare \
      geometric means of rates with those of the fewest ranks, efficiency for each rank and with Welch's 95 % \
      interval on logarithms; the serial fraction is Karp's and Flatt's. \
      Compute, communication, waiting and I/O are shares of the steps' time, means over ranks; PSS is that of all ranks.
      """,
      "## The model", modelTable.markdown(),
    ]
    if !heldOut.isEmpty {
      parts += [
        "Each point below was left out, the model fitted to the others, and asked for it.", heldOutTable.markdown(),
        "![The model against measured steps](model.svg)",
      ]
    }
    parts += ["## Predicted", "Nothing in this section was measured."]
    for network in networks {
      parts += ["### \(description(network))", bestTable(network).markdown()]
    }
    if !networks.isEmpty { parts.append("![Predicted efficiency](forecast.svg)") }
    parts += [
      """
      Cheapest is the number of ranks whose epoch costs the fewest node-seconds (a node is paid for as a whole), \
      fastest the one with the shortest epoch. Over several nodes the ranks of a node share its connection, \
      and nothing is counted as hidden behind passes. Jitter is taken to be normal and independent.
      """, "## Environment", environmentTable,
    ]
    return parts.map { $0.hasSuffix("\n") ? $0 : $0 + "\n" }.joined(separator: "\n")
  }

  private var environmentTable: String { study.environment.table.markdown() }

  private var introduction: String {
    let base = study.configuration.base.map { "`\($0.split(separator: "/").last.map(String.init) ?? $0)`" }
    let tokens = study.lengths.tokens
    let mean = Double(tokens.reduce(0, +)) / Double(tokens.count)
    return
      "\(base ?? "The embedded demo"), \(study.plan.methods.joined(separator: ", ")); reviews of \(Format.fixed(mean, digits: 1)) tokens on average, \(tokens.max() ?? 0) at most. Written by `bert-ddp scaling`."
  }
}
