internal import Collectives
internal import Console
internal import Datasets
internal import FineTuning
internal import Kernels
internal import Metrics
internal import Tensors
package import Tokenization

/// What a person sees of a run, in words and tables.
package struct RunReport {
  private let screen: Screen

  init(_ screen: Screen) { self.screen = screen }

  /// Who runs what on which data, and what is trained; collective.
  /// - Throws: `Failure` when ranks cannot talk.
  func opening(
    _ run: TrainingConfiguration, _ inputs: RunInputs, _ report: DatasetReport, _ model: ModelState,
    _ training: EncodedReviews, _ totalSteps: Int, _ communicator: Communicator
  ) throws {
    let threads = Format.count(run.threads, of: "thread")
    screen.line(
      "\(producer): \(Format.count(communicator.size, of: "rank")) on \(Format.count(communicator.nodeCount, of: "node")), "
        + "\(threads)\(communicator.size == 1 ? "" : " each"); \(blasDescription()), "
        + ownKernelsDescription)
    try RunNodes.warnOfCrowds(threads: run.threads, communicator, screen)
    if let note = RunReport.idleWorkers(run, communicator.size * run.threads) { screen.warning(note) }
    if let note = model.sharingNote { screen.warning(note) }
    options(run, inputs, totalSteps)
    data(report, inputs, training)
    let table = model.store.table
    screen.line(
      "training \(Format.count(table.trainableCount)) of \(Format.count(table.count)) parameters (\(Format.percent(Double(table.trainableCount) / Double(table.count)))), \(Format.bytes(4 * table.trainableCount)) per all-reduce"
        + (table.lookedUp != nil
          ? " less the token embeddings of tokens that a step does not have" : "")
    )
    if run.shardOptimizer, communicator.size > 1 {
      let tiles = BlockTiles(table, rank: 0, of: communicator.size)
      screen.line(
        "AdamW's moments are shared out over the ranks: \(Format.bytes(8 * (tiles.owned.count + tiles.table.count))) a rank, \(Format.bytes(8 * table.trainableCount)) without"
      )
    }
    for notice in inputs.notices { screen.line("note: \(notice)") }
    for notice in inputs.base?.notices ?? [] { screen.warning(notice + ".") }
    if inputs.base?.isRandom == false { randomStart(run, model) }
    screen.line()
  }

  /// That a step has not enough for everybody to do; nil where it has.
  package static func idleWorkers(_ run: TrainingConfiguration, _ workers: Int) -> String? {
    if run.pretraining?.batchTokens != nil { return nil }
    // Shards are of a whole step; without them each of its passes is shared out.
    let reviews = run.deterministic ? run.reviewsPerStep : run.globalBatchSize
    let parts = run.deterministic ? ShardedGradients.shardCount(of: reviews) : reviews
    guard parts < workers else { return nil }
    let what =
      run.deterministic
      ? "a step are computed in \(parts) parts (--deterministic)"
      : "a \(run.accumulationSteps > 1 ? "pass" : "step") are for as many workers"
    return
      "\(reviews) reviews \(what), and \(workers - parts) of \(workers) workers have nothing to do; raise --global-batch-size, or start fewer ranks."
  }

  /// Which modules no file brought, with a warning of those that training leaves as they are.
  private func randomStart(_ run: TrainingConfiguration, _ model: ModelState) {
    let modules = RunReport.summary(of: model.fresh + model.freshFrozen)
    if !modules.isEmpty { screen.line("started at random: \(modules.joined(separator: ", "))") }
    guard !model.freshFrozen.isEmpty else { return }
    let frozen = RunReport.summary(of: model.freshFrozen).joined(separator: ", ")
    screen.warning(
      "no file brings \(frozen), and --method \(run.method) leaves it as it started, at random; use a base that has it, or --method full, which trains it."
    )
  }

  /// The modules that tensors belong to, with the numbers of layers left out, each once.
  static func summary(of names: [String]) -> [String] {
    var seen: Set<String> = []
    return names.map { name in
      let parts = name.split(separator: ".").map { Int($0) == nil ? String($0) : "*" }
      return parts.dropLast(["weight", "bias"].contains(parts.last) ? 1 : 0).joined(separator: ".")
    }.filter { seen.insert($0).inserted }
  }

  private func options(_ run: TrainingConfiguration, _ inputs: RunInputs, _ totalSteps: Int) {
    var table = Table(["option", "value"])
    table.add("base", run.base ?? RunReport.base(of: run))
    table.add("tokenizer", RunReport.summary(of: inputs.tokenizer))
    table.add("method", run.method)
    if let method = try? run.fineTuningMethod() {
      for (name, value) in method.settings.sorted(by: { $0.key < $1.key }) { table.add(name, value) }
    }
    table.add(
      "learning rate", "\(run.learningRate ?? 0), \(run.lrSchedule.rawValue), warm-up \(run.warmupRatio)")
    table.add(
      "AdamW",
      "betas \(run.adamBeta1) \(run.adamBeta2), epsilon \(run.adamEpsilon), weight decay \(run.weightDecay)")
    table.add("gradient norm", run.maxGradNorm > 0 ? "at most \(run.maxGradNorm)" : "no limit")
    table.add(
      "batch",
      (run.pretraining?.batchTokens.map { "texts of like length, at most \(Format.count($0)) tokens over all ranks" }
        ?? "\(run.globalBatchSize) reviews over all ranks")
        + (run.accumulationSteps > 1 ? ", \(run.accumulationSteps) to a step" : ""))
    table.add("epochs", "\(run.epochs), \(Format.count(totalSteps)) steps in all")
    table.add(
      "longest review", "\(run.maxLength) tokens" + (inputs.isShortened ? ", all positions that the base has" : ""))
    table.add("dropout", run.dropout.map { "\($0)" } ?? "the base's")
    if run.precision == .bf16 {
      table.add("precision", "bf16 products by \(RoundedProducts.description ?? ""), all else in fp32")
    }
    table.add("seed", "\(run.seed)")
    if run.deterministic { table.add("deterministic", "the same bits on any number of ranks and threads") }
    table.add(
      "stopping",
      "after \(run.stallTimeout) s without progress"
        + (run.maxMinutes.map { ", before \($0) minutes are over" } ?? "")
        + (run.skipNonfinite > 0 ? ", \(run.skipNonfinite) steps that are not finite left out" : ""))
    table.add("run directory", run.output)
    screen.table(table)
  }

  /// How texts become tokens.
  package static func summary(of tokenizer: WordPieceTokenizer) -> String {
    "\(Format.count(tokenizer.vocabulary.countOfNamed)) tokens, \(tokenizer.settings.summary)"
  }

  /// The base of a run that names no file.
  private static func base(of run: TrainingConfiguration) -> String {
    guard let shape = run.pretraining?.shape else { return EmbeddedDemo.baseDescription }
    return
      "\(shape.layers) layers of \(shape.hidden), \(shape.heads) heads, feed-forward \(shape.intermediate), \(shape.positions) positions; starts at random"
  }

  private func data(_ report: DatasetReport, _ inputs: RunInputs, _ training: EncodedReviews) {
    func describe(_ name: String, _ part: DatasetReport.Part) {
      var text =
        "\(name): \(Format.count(part.rows)) reviews"
      if !part.classCounts.isEmpty {
        text += ", classes \(part.classCounts.map(Format.count).joined(separator: " / "))"
      }
      if part.emptyTexts > 0 { text += ", \(Format.count(part.emptyTexts)) empty" }
      if part.duplicates > 0 {
        text +=
          ", \(Format.count(part.duplicates)) duplicates (\(Format.count(part.conflictingDuplicates)) with another label)"
      }
      screen.line(text)
    }
    describe("training data", report.training)
    screen.line(
      "  \(Format.fixed(Double(training.tokenCount) / Double(max(1, training.count)), digits: 1)) tokens a review on average"
    )
    if let test = report.test { describe("test data", test) }
    if let seen = report.testRowsInTraining, seen > 0 {
      screen.line("  \(Format.count(seen)) test reviews have a text that also occurs in training")
    }
  }

  /// A line for an epoch.
  func epoch(_ event: EpochEvent, of epochs: Int, _ evaluation: EvaluationEvent?) {
    var line =
      "epoch \(event.epoch)/\(epochs)  \(Format.duration(event.trainSeconds))  loss \(Format.figure(event.loss, digits: 4))  \(Format.rate(event.reviewsPerSecond)) reviews/s"
    switch evaluation?.figures {
    case .classification(let summary):
      line += "  accuracy \(Format.figure(summary.accuracy))  F1 \(Format.figure(summary.f1))"
    case .maskedLanguage(let summary):
      line += "  held-out loss \(Format.figure(summary.loss, digits: 4))  accuracy \(Format.figure(summary.accuracy))"
    case nil: break
    }
    screen.line(line)
  }

  /// The closing table.
  func closing(_ run: TrainingConfiguration, _ results: RunResults) {
    if case .maskedLanguage(let summary) = results.evaluation?.figures {
      screen.line()
      screen.result(summary.table, heading: "held-out texts")
    } else if let evaluation = results.evaluation, let summary = evaluation.summary {
      var table = Table([
        "method", "trained", "accuracy", "95 %", "precision", "recall", "F1", "loss", "time/epoch",
      ])
      for single in results.singles {
        add(single.isAdapter ? "adapter \(single.name)" : single.name, single.results, to: &table)
      }
      add(run.method, results, to: &table)
      screen.line()
      screen.result(table, heading: "\(evaluation.split): \(Format.count(summary.reviews)) reviews")
    }
    screen.line("steps done \(Format.count(results.run.steps)) of \(Format.count(results.run.stepsAsked))")
    screen.result("results in \(run.output)")
  }

  private func add(_ name: String, _ results: RunResults, to table: inout Table) {
    guard let s = results.evaluation?.summary else { return }
    // An epoch that was cut short counts by its rate.
    let most = results.run.epochs.map { $0.trainSeconds * $0.reviewsPerSecond }.max() ?? 0
    let seconds = results.run.epochs.map { most / max($0.reviewsPerSecond, 1e-9) }
    table.add(
      name, Format.percent(Double(results.run.trainableParameters) / Double(results.run.totalParameters)),
      Format.figure(s.accuracy), Format.interval(s.accuracyInterval.lower, s.accuracyInterval.upper),
      Format.figure(s.precision), Format.figure(s.recall), Format.figure(s.f1), Format.figure(s.loss),
      Format.duration(seconds.reduce(0, +) / Double(max(1, seconds.count))))
  }
}
