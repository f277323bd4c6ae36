import BERT
import FineTuning
import Kernels
import Tensors
import TestSupport
import Testing

/// Every gradient that adapters take part in, against central differences on a tiny model with dropout on.
@Suite struct AdapterGradientTests {
  /// A method whose base is trained too, so that what flows through its branches is checked as well.
  struct WithBase: FineTuningMethod {
    let method: any FineTuningMethod
    var name: String { method.name }
    var defaultLearningRate: Double { method.defaultLearningRate }
    func trains(_ name: String) -> Bool { true }
    func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification] {
      try method.addedParameters(configuration)
    }
    func attach(to model: any TaskModel, _ table: ParameterTable) { method.attach(to: model, table) }
  }

  /// A tiny model in memory of its own.
  final class Tiny {
    let store: ParameterStore
    let gradients: UnsafeMutablePointer<Float>
    private let workspace: Workspace
    private let model: SequenceClassifier
    private let batch = TokenBatch()

    init(_ method: any FineTuningMethod, _ order: FusionOrder?) throws {
      var shape = BERTConfiguration()
      (shape.vocabularySize, shape.hiddenSize, shape.layerCount, shape.attentionHeadCount) = (20, 8, 2, 2)
      (shape.intermediateSize, shape.positionCount, shape.typeCount) = (12, 8, 2)
      let table = try method.table(for: shape)
      let values = UnsafeMutablePointer<Float>.allocate(capacity: table.trainableCount)
      gradients = .allocate(capacity: table.trainableCount)
      gradients.initialize(repeating: 0, count: table.trainableCount)
      store = ParameterStore(
        table: table, frozen: .allocate(capacity: max(1, table.frozenCount)), trainable: values)
      model = method.model(shape, table)
      model.fuse(in: order)
      let arena = try ActivationArena(capacity: model.arenaBytes(tokens: 32, reviews: 8, longest: 8))
      arena.poisons = true
      workspace = Workspace(parameters: store, gradients: gradients, arena: arena, seed: 3)
      workspace.isTraining = true
      for entry in table.entries { Tiny.fill(store[entry.parameter], entry) }
      for (review, tokens) in [[1, 5, 7, 9], [1, 3, 2, 11, 4, 6], [1, 8]].enumerated() {
        tokens.map { Int32($0) }.withUnsafeBufferPointer {
          batch.append(tokens: $0, secondSegmentStart: 3, review: UInt32(review))
        }
      }
    }

    deinit {
      store.trainable.deallocate()
      store.frozen.deallocate()
      gradients.deallocate()
    }

    /// Weights large enough that every path matters, around 1 for what multiplies.
    private static func fill(_ view: Matrix, _ entry: ParameterTable.Entry) {
      let name = entry.specification.name
      var state = UInt32(truncatingIfNeeded: name.utf8.reduce(7) { $0 &* 31 &+ Int($1) })
      let isScale = name.hasSuffix("orm.weight") || name.contains("norm_") && name.hasSuffix("weight")
      for i in 0..<view.rows * view.columns {
        state = state &* 1_664_525 &+ 1_013_904_223
        let noise = Float(state >> 8) / Float(1 << 24) - 0.5
        view.base[i] = (isScale || name.hasSuffix("scaling") ? 1 : 0) + 0.8 * noise
      }
    }

    func loss() -> Double {
      var losses = [Double](repeating: 0, count: 3)
      batch.withViews { views in
        workspace.arena.reset()
        model.addGradients(views, labels: [0, 1, 1], losses: &losses, workspace)
      }
      return losses.reduce(0, +)
    }
  }

  static let names = ["word_embeddings", "layer.0.attention.self.query.weight", "LayerNorm", "adapter"]

  /// Along the gradient itself and along a fixed direction of signs, for each tensor.
  static func check(_ method: any FineTuningMethod, _ label: String, _ order: FusionOrder? = nil) throws {
    let tiny = try Tiny(WithBase(method: method), order)
    _ = tiny.loss()
    let count = tiny.store.table.trainableCount
    let gradient = Array(UnsafeBufferPointer(start: tiny.gradients, count: count)).map(Double.init)
    for entry in tiny.store.table.entries
    where entry.parameter.isTrainable && names.contains(where: { entry.specification.name.contains($0) }) {
      let (parameter, values) = (entry.parameter, tiny.store[entry.parameter].base)
      let own = Array(gradient[parameter.offset..<parameter.offset + parameter.count])
      let norm = own.map { $0 * $0 }.reduce(0, +).squareRoot()
      let signs = own.indices.map { ($0 * 7 + 3) % 5 < 2 ? -1.0 : 1.0 }
      for direction in [
        own.map { norm > 0 ? $0 / norm : 0 }, signs.map { $0 / Double(own.count).squareRoot() },
      ] {
        let expected = zip(own, direction).map(*).reduce(0, +)
        let before = own.indices.map { values[$0] }
        func moved(_ step: Double) -> Double {
          for i in own.indices { values[i] = before[i] + Float(step * direction[i]) }
          defer { for i in own.indices { values[i] = before[i] } }
          return tiny.loss()
        }
        let step = 4e-3
        // Two step widths, extrapolated: the error falls with the fourth power.
        let near = (moved(step) - moved(-step)) / (2 * step)
        let far = (moved(2 * step) - moved(-2 * step)) / (4 * step)
        expectClose(
          (4 * near - far) / 3, expected, relative: 5e-3, absolute: 1e-3,
          "\(label): \(entry.specification.name)")
      }
    }
  }

  static let configurations: [AdapterConfiguration] = {
    var list = AdapterConfiguration.presets.map(\.configuration)
    for index in 0..<12 {
      var configuration = AdapterConfiguration()
      configuration.originalNormBefore = index % 3 != 0
      configuration.residual =
        index % 3 == 0
        ? (index % 2 == 0 ? .blockOutput : .coreInput) : [.blockOutput, .coreInput, .sum][index / 4]
      configuration.addsResidualBeforeNorm = index & 1 == 1
      configuration.normBefore = index & 2 == 2
      configuration.normAfter = index & 3 != 0
      configuration.originalNormAfter = index % 5 != 4
      configuration.afterAttention = index & 4 == 4
      configuration.isParallel = index == 9
      configuration.scaling = index & 8 == 8 ? .learned : .constant(1.5)
      configuration.dropout = index % 2 == 0 ? 0 : 0.2
      list.append(configuration)
    }
    return list.map {
      var smooth = $0
      smooth.activation = .swish
      smooth.reduction = AdapterConfiguration.Reduction(2, byLayer: [1: 3])
      return smooth
    }
  }()

  @Test(arguments: configurations.indices)
  func single(_ index: Int) throws {
    let configuration = Self.configurations[index]
    try Self.check(BottleneckAdapters(configuration), "\(index) \(configuration.summary)")
  }

  @Test func stack() throws {
    let all = Self.configurations
    let setup = try AdapterSetup(
      ["l": all[4], "t": all[0], "p": all[2]], .stack([.single("l"), .stack([.single("t"), .single("p")])]))
    try Self.check(BottleneckAdapters(setup, trained: ["l", "t", "p"]), "stack that ends parallel")
    let other = try AdapterSetup(["l": all[4], "t": all[1]], .stack([.single("l"), .single("t")]))
    try Self.check(BottleneckAdapters(other, trained: ["l", "t"]), "stack at different places")
  }

  @Test(arguments: [(false, true), (true, true), (false, false)], FusionOrder.allCases)
  func fusion(_ design: (queryBeforeNorm: Bool, hasValue: Bool), _ order: FusionOrder) throws {
    let (queryBeforeNorm, hasValue) = design
    let all = Self.configurations
    var fusion = FusionConfiguration()
    (fusion.queryBeforeNorm, fusion.hasValue, fusion.dropout) = (queryBeforeNorm, hasValue, 0.2)
    let names = ["a": all[0], "b": all[0], "c": all[0], "l": all[4]]
    let label = "\(order), query before \(queryBeforeNorm), value \(hasValue)"
    let fused = try AdapterSetup(names, .fuse(["a", "b", "c"]), fusion: fusion)
    try Self.check(AdapterFusion(fused, trained: ["a", "b", "c"]), "fusion, \(label)", order)
    let stacked = try AdapterSetup(names, .stack([.single("l"), .fuse(["a", "b"])]), fusion: fusion)
    try Self.check(AdapterFusion(stacked, trained: ["a", "b"]), "stacked fusion, \(label)", order)
    let houlsby = try AdapterSetup(["a": all[1], "b": all[1]], .fuse(["a", "b"]), fusion: fusion)
    try Self.check(AdapterFusion(houlsby, trained: ["a", "b"]), "fusion at both ends, \(label)", order)
    let parallel = try AdapterSetup(["a": all[2], "b": all[3]], .fuse(["a", "b"]), fusion: fusion)
    try Self.check(AdapterFusion(parallel, trained: ["a", "b"]), "parallel fusion, \(label)", order)
  }
}
