import ArgumentParser
import Collectives
import Console
import FoundationEssentials
import Glibc
import Training

/// `bert-ddp train`, and `bert-ddp` alone.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fine-tune a base on labelled reviews and evaluate it (the default).",
    discussion: """
      Each rank holds a replica; only the trainable gradients are all-reduced.
      With neither --base nor --train-file an embedded demo runs.
      Example:
        mpirun -np 4 bert-ddp train --base korean-mini --method lora \\
          --train-file train.tsv --test-file test.tsv --output runs/lora
      """)

  @OptionGroup(title: "Data") var data: DataOptions
  @OptionGroup(title: "Method") var choice: MethodChoice
  @OptionGroup(title: "Method") var method: MethodOptions
  @OptionGroup(title: "Optimiser") var optimizer: OptimizerOptions
  @OptionGroup(title: "Run") var place: RunOptions
  @OptionGroup(title: "Screen") var screen: ScreenOptions

  func run() throws {
    let configuration = try resolved()
    try configuration.validate()
    try MPISession.run { communicator in
      let screen = communicator.isFirst ? Screen(quiet: screen.quiet, json: screen.json) : Screen.silent()
      var configuration = configuration
      let output = try communicator.shared { Array((place.output ?? Train.newDirectory(choice.method)).utf8) }
      configuration.output = String(decoding: output, as: UTF8.self)
      let results = try TrainingStages.train(configuration, communicator, screen)
      if let results, self.screen.json { screen.json(try jsonText(results)) }
    }
  }

  private func resolved() throws -> TrainingConfiguration {
    var c = TrainingConfiguration()
    (c.base, c.trainFile, c.validationFile, c.testFile) = (
      data.base, data.trainFile, data.validationFile, data.testFile
    )
    (c.textColumn, c.textPairColumn, c.labelColumn) = (data.textColumn, data.textPairColumn, data.labelColumn)
    (c.labelCount, c.trainLimit) = (data.numLabels, data.trainLimit)
    (c.method, c.methodOptions) = (choice.method, method.fineTuning)
    (c.languageAdapter, c.trainsAdapters) = (method.languageAdapter, method.trainAdapters)
    c.fuse = method.fuse?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
    (c.learningRate, c.adamEpsilon) = (optimizer.learningRate, optimizer.adamEpsilon)
    (c.adamBeta1, c.adamBeta2, c.weightDecay) = (
      optimizer.adamBeta1, optimizer.adamBeta2, optimizer.weightDecay
    )
    (c.maxGradNorm, c.lrSchedule, c.warmupRatio) = (
      optimizer.maxGradNorm, optimizer.lrSchedule, optimizer.warmupRatio
    )
    (c.globalBatchSize, c.accumulationSteps, c.maxSteps) = (
      optimizer.globalBatchSize, optimizer.accumulationSteps, optimizer.maxSteps
    )
    (c.seed, c.dropout) = (optimizer.seed, optimizer.dropout)
    (c.resume, c.checkpointEvery, c.keepCheckpoints) = (
      place.resume, place.checkpointEvery, place.keepCheckpoints
    )
    (c.threads, c.logEvery) = (place.threads, place.logEvery)
    (c.deterministic, c.skipNonfinite) = (place.deterministic, place.skipNonfinite)
    c.shardOptimizer = place.shardOptimizer
    (c.stallTimeout, c.maxMinutes) = (place.stallTimeout, place.maxMinutes)
    if c.base == nil, c.trainFile == nil { EmbeddedDemo.adjust(&c) }
    c.maxLength = data.maxLength ?? c.maxLength
    c.asksForMaxLength = data.maxLength != nil
    c.epochs = optimizer.epochs ?? c.epochs
    return c
  }

  /// A directory that no other run has: the method and the time, to the second, in UTC.
  private static func newDirectory(_ method: String) -> String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let day = "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
    let name = "runs/\(method)-\(day)-\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))"
    var candidate = name
    var number = 2
    while FileManager.default.fileExists(atPath: candidate) {
      candidate = "\(name)-\(number)"
      number += 1
    }
    return candidate
  }
}
