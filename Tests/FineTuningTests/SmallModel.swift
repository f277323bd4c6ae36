import BERT
import FineTuning
import Tensors

/// A small BERT with a method's branches in place and made-up numbers everywhere, for the suites of this room.
final class SmallModel {
  let method: any FineTuningMethod
  let configuration: BERTConfiguration
  let store: ParameterStore
  let gradients: UnsafeMutablePointer<Float>
  let workspace: Workspace
  let model: SequenceClassifier
  private let batch = TokenBatch()
  private let labels: [Int32] = [0, 1, 2]

  static func configuration(dropout: Float) -> BERTConfiguration {
    var configuration = BERTConfiguration()
    configuration.vocabularySize = 40
    configuration.hiddenSize = 12
    configuration.layerCount = 2
    configuration.attentionHeadCount = 3
    configuration.intermediateSize = 20
    configuration.positionCount = 16
    configuration.hiddenDropout = dropout
    configuration.attentionDropout = dropout
    configuration.labelCount = 3
    configuration.initializerRange = 0.3
    return configuration
  }

  /// - Parameters:
  ///   - method: What is trained and added; its parameters start as in a run.
  ///   - dropout: The base's own dropout.
  /// - Throws: `Failure` when the method does not fit the model.
  init(_ method: any FineTuningMethod, dropout: Float = 0) throws {
    self.method = method
    configuration = SmallModel.configuration(dropout: dropout)
    let table = try method.table(for: configuration)
    gradients = .allocate(capacity: max(1, table.trainableCount))
    gradients.initialize(repeating: 0, count: table.trainableCount)
    store = ParameterStore(
      table: table, frozen: .allocate(capacity: max(1, table.frozenCount)),
      trainable: .allocate(capacity: max(1, table.trainableCount)),
      transposes: .allocate(byteCount: max(1, table.transposeBytes), alignment: 64))
    for entry in table.entries { store.initialize(entry, seed: 3) }
    method.completeInitialization(of: Set(table.entries.map(\.specification.name)), in: store)
    store.writeTransposes()
    model = method.model(configuration, table)
    let arena = try ActivationArena(capacity: model.arenaBytes(tokens: 64, reviews: 8, longest: 16))
    arena.poisons = true
    workspace = Workspace(parameters: store, gradients: gradients, arena: arena, seed: 5)
    for (review, length) in [5, 9, 3].enumerated() {
      // Not the padding token, whose embedding is never trained.
      let tokens = (0..<length).map { Int32(1 + (7 * $0 + 11 * review) % 39) }
      tokens.withUnsafeBufferPointer {
        batch.append(tokens: $0, secondSegmentStart: 4, review: UInt32(review + 9))
      }
    }
  }

  deinit {
    store.frozen.deallocate()
    store.trainable.deallocate()
    store.transposes?.deallocate()
    gradients.deallocate()
  }

  /// Moves what was added off its start, where half of the gradients would be zero.
  func disturb() {
    var state: UInt64 = 17
    for entry in store.table.trainableEntries {
      let name = entry.specification.name
      if name.hasPrefix("classifier.") || name.hasPrefix("prefix_tuning.") { continue }
      let values = store.elements(name)
      let scales = name.hasSuffix(".ia3_l") || name.hasSuffix(".lora_magnitude_vector")
      for i in values.indices {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let number = Float(state >> 40) / Float(1 << 24) - 0.5
        values[i] = scales ? values[i] * (1 + 0.6 * number) : values[i] + 0.4 * number
      }
    }
  }

  /// The logits without dropout.
  func logits() -> [Float] {
    workspace.isTraining = false
    return batch.withViews { views in
      workspace.arena.reset()
      let logits = model.logits(views, workspace)
      return Array(UnsafeBufferPointer(start: logits.base, count: logits.rows * logits.columns))
    }
  }

  /// Adds the gradients of the sum of the losses in training, dropout on, and returns the sum.
  @discardableResult
  func addGradients() -> Double {
    var losses = [Double](repeating: .nan, count: labels.count)
    workspace.isTraining = true
    batch.withViews { views in
      workspace.arena.reset()
      model.addGradients(views, labels: labels, losses: &losses, workspace)
    }
    return losses.reduce(0, +)
  }
}
