internal import Failures
internal import FoundationEssentials
internal import JSON
package import Metrics

/// A line of `metrics.jsonl`.
package enum RunEvent: Encodable {
  /// Some steps are done.
  case step(StepEvent)
  /// An epoch is done.
  case epoch(EpochEvent)
  /// An evaluation is done.
  case evaluation(EvaluationEvent)
  /// A step changed nothing because a number was not finite.
  case skipped(SkippedEvent)

  /// Writes the event as one object.
  package func encode(to encoder: any Encoder) throws {
    switch self {
    case .step(let event): try event.encode(to: encoder)
    case .epoch(let event): try event.encode(to: encoder)
    case .evaluation(let event): try event.encode(to: encoder)
    case .skipped(let event): try event.encode(to: encoder)
    }
  }
}

/// The figures since the last such event; the loss is the mean over its reviews.
package struct StepEvent: Encodable {
  let event = "step"
  let step: Int
  let epoch: Double
  let loss: Double
  let learningRate: Double
  let gradientNorm: Double
  let reviewsPerSecond: Double
  let tokensPerSecond: Double
  /// What rank 0 spent its time on.
  let phases: PhaseTimes

  private enum CodingKeys: String, CodingKey {
    case event, step, epoch, loss, phases = "phase_seconds"
    case learningRate = "learning_rate", gradientNorm = "grad_norm"
    case reviewsPerSecond = "reviews_per_second", tokensPerSecond = "tokens_per_second"
  }
}

/// A step that was left out; JSON has no numbers that are not finite, so it says which one was not.
package struct SkippedEvent: Encodable {
  let event = "skipped"
  let step: Int
  /// The sentence.
  let reason: String
  /// How many steps were left out so far.
  let skipped: Int
}

/// An epoch's figures.
package struct EpochEvent: Codable, Equatable {
  private(set) var event = "epoch"
  /// From 1.
  package let epoch: Int
  /// The step at its end.
  package let step: Int
  /// The mean loss over its reviews.
  package let loss: Double
  /// Seconds of training, without evaluation and checkpoints.
  package let trainSeconds: Double
  /// Reviews over these seconds.
  package let reviewsPerSecond: Double
  /// Tokens over these seconds.
  package let tokensPerSecond: Double
  /// What rank 0 spent its time on in this epoch since the program was started; nil in old checkpoints.
  package let phases: PhaseTimes?

  private enum CodingKeys: String, CodingKey {
    case event, epoch, step, loss, phases = "phase_seconds"
    case trainSeconds = "train_seconds", reviewsPerSecond = "reviews_per_second"
    case tokensPerSecond = "tokens_per_second"
  }
}

/// An evaluation's figures.
package struct EvaluationEvent: Encodable {
  let split: String
  let step: Int
  let epoch: Int
  let seconds: Double
  /// The figures.
  package let figures: EvaluationFigures
  /// The metrics of classes; nil when the model is not for classes.
  package var summary: EvaluationSummary? {
    if case .classification(let summary) = figures { summary } else { nil }
  }

  private enum CodingKeys: String, CodingKey { case event, split, step, epoch, seconds }

  /// The figures beside the event's own fields.
  package func encode(to encoder: any Encoder) throws {
    try figures.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode("evaluation", forKey: .event)
    try container.encode(split, forKey: .split)
    try container.encode(step, forKey: .step)
    try container.encode(epoch, forKey: .epoch)
    try container.encode(seconds, forKey: .seconds)
  }
}

/// The files that a run writes beside its checkpoints.
package struct RunFiles {
  /// The run directory.
  package let directory: String
  private var metrics: String { directory + "/metrics.jsonl" }

  /// The files of a directory.
  package init(directory: String) { self.directory = directory }

  /// Makes the directory.
  /// - Throws: `Failure` when that cannot be done.
  package func makeDirectory() throws {
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    } catch {
      throw Failure(
        .cannotWrite,
        "the run directory \(directory) cannot be made: check that its parent is a directory you may write to."
      )
    }
    try write(Data(), to: ".writable")
    try? FileManager.default.removeItem(atPath: directory + "/.writable")
  }

  /// Starts `metrics.jsonl`: empty, or with the events up to a step when a run goes on from there.
  /// - Parameters:
  ///   - step: The step.
  ///   - isValidated: Whether the validation of that step is done; it is repeated where it is not.
  /// - Throws: `Failure` when it cannot be written.
  package func startMetrics(keepingStepsTo step: Int?, isValidated: Bool = true) throws {
    var kept: [Substring] = []
    if let step, let old = try? String(contentsOfFile: metrics, encoding: .utf8) {
      kept = old.split(separator: "\n").filter { line in
        guard let event = try? JSONValue.decode(EventStep.self, from: Array(line.utf8), source: metrics) else {
          return false
        }
        return event.step < step || (event.step == step && (isValidated || event.split != "validation"))
      }
    }
    try write(Data(kept.map { $0 + "\n" }.joined().utf8), to: "metrics.jsonl")
  }

  private struct EventStep: Decodable {
    let step: Int
    let split: String?
  }

  /// Appends an event to `metrics.jsonl`.
  /// - Throws: `Failure` when it cannot be written.
  package func append(_ event: RunEvent) throws {
    let line = Data((try jsonText(event, pretty: false) + "\n").utf8)
    guard let handle = FileAppender(path: metrics), handle.append(line) else {
      throw Failure(
        .cannotWrite, "\(metrics) cannot be written: check the free space and the permissions there.")
    }
  }

  /// Writes a JSON file of the run, replacing an older one at once.
  /// - Throws: `Failure` when it cannot be written.
  package func write(json value: some Encodable, to name: String) throws {
    try write(Data((try jsonText(value) + "\n").utf8), to: name)
  }

  /// Writes a text of the run, replacing an older one at once.
  /// - Throws: `Failure` when it cannot be written.
  package func write(text: String, to name: String) throws { try write(Data(text.utf8), to: name) }

  /// Whether there is a file of this name.
  package func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: directory + "/" + name) }

  /// Reads a JSON file of the run; nil when there is none or it is not what it should be.
  package func read<Value: Decodable>(_ type: Value.Type, from name: String) -> Value? {
    guard let data = try? Data(contentsOf: URL(filePath: directory + "/" + name)) else { return nil }
    return try? JSONValue.decode(type, from: Array(data), source: name)
  }

  private func write(_ data: Data, to name: String) throws {
    let path = directory + "/" + name
    do {
      try data.write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw Failure(
        .cannotWrite, "\(path) cannot be written: check the free space and the permissions there.")
    }
  }
}
