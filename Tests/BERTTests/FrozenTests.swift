import BERT
import Tensors
import TestSupport
import Testing

/// A projection's branch that does nothing but count its calls.
final class Spy: ProjectionBranch {
  let isTrainable = false
  let floatsPerRow = 0
  let needsBias: Bool
  private(set) var forwardCount = 0
  private(set) var backwardCount = 0
  private(set) var inputGradientCount = 0

  init(needsBias: Bool = false) { self.needsBias = needsBias }
  func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) { forwardCount += 1 }
  func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
    backwardCount += 1
    if dx != nil { inputGradientCount += 1 }
  }
}

/// What is frozen: no number of it is written, no gradient of it computed, and backward stops below what is trained.
@Suite
struct FrozenTests {
  static let reviews = TinyReview.reviews(lengths: [6, 1, 9], labelCount: 3)

  /// Choices of what is trained, from everything to nothing but the head.
  enum Choice: String, Sendable, CaseIterable {
    case everything, head, pooler, biases, norms, embeddings, positions, middleLayer, query, keyAndValueBias
    case feedForward, outputBias

    /// The lowest layer with anything trained; -1 for the embeddings, the layer count for none.
    var lowest: Int {
      switch self {
      case .everything, .biases, .norms, .embeddings, .positions: -1
      case .middleLayer, .query, .keyAndValueBias, .feedForward: 1
      case .outputBias: 2
      case .head, .pooler: 3
      }
    }

    func trains(_ name: String) -> Bool {
      switch self {
      case .everything: true
      case .head: name.hasPrefix("classifier.")
      case .pooler: name.hasPrefix("bert.pooler.")
      case .biases: name.hasSuffix(".bias")
      case .norms: name.contains("LayerNorm")
      case .embeddings: name.hasPrefix("bert.embeddings.")
      case .positions: name.contains("position_embeddings")
      case .middleLayer: name.contains("layer.1.")
      case .query: name.contains("layer.1.attention.self.query.weight")
      case .keyAndValueBias:
        name.contains("layer.1.attention.self.key.") || name.contains("layer.1.attention.self.value.bias")
      case .feedForward: name.contains("layer.1.output.dense.weight") || name.contains("layer.1.intermediate")
      case .outputBias: name.contains("layer.2.output.dense.bias")
      }
    }
  }

  static let configuration = TinyModel.configuration(dropout: 0.2, layers: 3)

  /// The gradients of what is trained are those of full fine-tuning; rounding of another order of additions apart.
  @Test(arguments: Choice.allCases)
  func gradientsAreThoseOfFullFineTuning(_ choice: Choice) {
    let full = TinyModel(Self.configuration)
    let some = TinyModel(Self.configuration, trains: choice.trains)
    expectClose(full.addGradients(Self.reviews), some.addGradients(Self.reviews), absolute: 2e-6, "losses")
    let names = some.table.trainableEntries.map(\.specification.name)
    #expect(!names.isEmpty && names.allSatisfy(choice.trains))
    for name in names {
      expectClose(some.gradient(name), full.gradient(name), relative: 1e-5, absolute: 1e-5, name)
      let isNoise = name.hasSuffix("key.bias")
      #expect(isNoise || some.gradient(name).contains { abs($0) > 1e-3 }, "\(name) has a gradient")
    }
  }

  /// Nothing beside the gradient block is written: not the frozen block, not the trainable one, not their surroundings.
  @Test(arguments: Choice.allCases)
  func nothingElseIsWritten(_ choice: Choice) {
    let model = TinyModel(Self.configuration, trains: choice.trains)
    let (frozen, trainable) = (model.frozenBits, model.trainableValues)
    model.addGradients(Self.reviews)
    _ = model.logits(Self.reviews, training: false)
    #expect(model.frozenBits == frozen)
    #expect(model.trainableValues == trainable)
    #expect(model.isIntactAround)
  }

  /// Backward runs down to the lowest layer that has anything trained, and there no further than it has to.
  @Test(arguments: Choice.allCases)
  func backwardStops(_ choice: Choice) {
    let model = TinyModel(Self.configuration, trains: choice.trains)
    let layers = model.model.encoder.layers
    let spies = layers.map { layer in
      let spies = [Spy(), Spy()]
      layer.key.branch = spies[0]
      layer.outputDense.branch = spies[1]
      return spies
    }
    model.model.branchesWereAttached()
    #expect(model.model.encoder.needsGradient == (choice.lowest < 3))
    model.addGradients(Self.reviews)
    for (index, spies) in spies.enumerated() {
      let (key, output) = (spies[0], spies[1])
      #expect(key.forwardCount == 1 && output.forwardCount == 1)
      #expect(output.backwardCount == (index >= choice.lowest ? 1 : 0), "layer \(index)")
      #expect(key.inputGradientCount == (index > choice.lowest ? 1 : 0), "layer \(index)")
      if index > choice.lowest { #expect(key.backwardCount == 1, "layer \(index)") }
      if index < choice.lowest { #expect(key.backwardCount == 0, "layer \(index)") }
    }
  }

  /// A pass keeps what backward needs, and no more: the less is trained, the less memory.
  @Test
  func memory() {
    func peak(_ choice: Choice) -> Int {
      let model = TinyModel(Self.configuration, trains: choice.trains)
      model.addGradients(Self.reviews)
      return model.workspace.arena.peak
    }
    #expect(peak(.head) < peak(.middleLayer))
    #expect(peak(.query) < peak(.middleLayer), "activated values are kept for their weight gradient alone")
    #expect(peak(.middleLayer) < peak(.everything))
  }

  /// A model of which nothing is trained, as after merging, computes logits and needs no gradient block's memory.
  @Test
  func nothingIsTrained() {
    let full = TinyModel(Self.configuration)
    let frozen = TinyModel(Self.configuration) { _ in false }
    #expect(frozen.table.trainableCount == 0 && !frozen.model.encoder.needsGradient)
    for (a, b) in zip(
      full.logits(Self.reviews, training: false), frozen.logits(Self.reviews, training: false))
    {
      expectClose(a, b, absolute: 1e-6)
    }
  }
}
