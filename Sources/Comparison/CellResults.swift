internal import Failures
internal import FoundationEssentials
internal import Metrics
internal import Training

/// What a comparison reads of a cell's `results.json`.
struct CellResults: Decodable {
  /// The figures on the test reviews.
  let summary: EvaluationSummary
  let trainableParameters: Int
  let totalParameters: Int
  let allReduceBytes: Int
  let worldSize: Int
  let threads: Int
  let steps: Int
  let stepsAsked: Int
  let epochs: [EpochEvent]
  let split: String
  let evaluationSeconds: Double

  private enum CodingKeys: String, CodingKey {
    case trainableParameters = "trainable_parameters", totalParameters = "total_parameters"
    case allReduceBytes = "all_reduce_bytes_per_step", worldSize = "world_size", threads, steps
    case stepsAsked = "steps_asked", epochs, split, evaluationSeconds = "seconds"
  }

  init(from decoder: any Decoder) throws {
    summary = try EvaluationSummary(from: decoder)
    let container = try decoder.container(keyedBy: CodingKeys.self)
    trainableParameters = try container.decode(Int.self, forKey: .trainableParameters)
    totalParameters = try container.decode(Int.self, forKey: .totalParameters)
    allReduceBytes = try container.decode(Int.self, forKey: .allReduceBytes)
    worldSize = try container.decode(Int.self, forKey: .worldSize)
    threads = try container.decode(Int.self, forKey: .threads)
    steps = try container.decode(Int.self, forKey: .steps)
    stepsAsked = try container.decode(Int.self, forKey: .stepsAsked)
    epochs = try container.decode([EpochEvent].self, forKey: .epochs)
    split = try container.decode(String.self, forKey: .split)
    evaluationSeconds = try container.decode(Double.self, forKey: .evaluationSeconds)
  }

  /// Whether the run is over and was measured on test reviews.
  var isWhole: Bool { split == "test" && !epochs.isEmpty }

  /// The share of the parameters that is trained.
  var share: Double { Double(trainableParameters) / Double(max(1, totalParameters)) }
}

/// A cell that is done.
struct FinishedCell {
  let cell: Cell
  let results: CellResults

  /// Seconds of training of an epoch: the median, since a machine may do something else for a while. An epoch that was
  /// cut short counts by its rate.
  var secondsPerEpoch: Double {
    let seconds = results.epochs.map { Double(cell.trainCount) / max($0.reviewsPerSecond, 1e-9) }.sorted()
    guard let last = seconds.indices.last else { return 0 }
    return (seconds[last / 2] + seconds[(last + 1) / 2]) / 2
  }
  /// About how long the whole cell took.
  var seconds: Double { Double(results.epochs.count) * (secondsPerEpoch + results.evaluationSeconds) }

  /// Reads what a cell came to.
  /// - Throws: `Failure` when its files are damaged.
  init(_ cell: Cell) throws {
    self.cell = cell
    guard let results = RunFiles(directory: cell.directory).read(CellResults.self, from: "results.json") else {
      throw Failure(
        .badContent, "\(cell.directory)/results.json is not what a cell writes; remove the directory to run it again.")
    }
    self.results = results
  }

  /// What the model says of each test review.
  /// - Throws: `Failure` when the file is damaged.
  func predictions() throws -> ReviewPredictions {
    try ReviewPredictions(reading: cell.directory + "/" + ReviewPredictions.fileName)
  }
}
