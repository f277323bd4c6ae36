import BERT
import FineTuning
import Kernels
import Tensors
import TestSupport
import Testing

/// The two orders in which a fusion multiplies: that they are one function, and which is chosen.
@Suite
struct FusionOrderTests {
  struct Case: Sendable, CustomStringConvertible {
    let description: String
    let method: any FineTuningMethod
  }

  static func adapter(
    _ preset: AdapterConfiguration, _ reduction: Double, _ change: (inout AdapterConfiguration) -> Void = { _ in }
  ) -> AdapterConfiguration {
    var configuration = preset
    (configuration.activation, configuration.reduction) = (.gelu, AdapterConfiguration.Reduction(reduction))
    change(&configuration)
    return configuration
  }

  static let adapters = [
    "a": adapter(.pfeiffer, 3), "n": adapter(.pfeiffer, 6) { $0.normBefore = true },
    "s": adapter(.pfeiffer, 4) { $0.scaling = .constant(1.5) },
    "l": adapter(.pfeiffer, 2), "learned": adapter(.pfeiffer, 4) { $0.scaling = .learned },
    "h": adapter(.houlsby, 4), "i": adapter(.houlsby, 6) { $0.scaling = .constant(0.5) },
    "p": adapter(.parallel, 4), "q": adapter(.parallel, 3),
  ]

  static let cases: [Case] = {
    var early = FusionConfiguration()
    (early.queryBeforeNorm, early.dropout) = (true, 0.3)
    func setup(_ composition: Composition, _ fusion: FusionConfiguration = .init()) throws -> AdapterSetup {
      try AdapterSetup(adapters, composition, fusion: fusion)
    }
    do {
      return [
        Case(
          description: "one trained, scaled",
          method: try AdapterFusion(setup(.fuse(["a", "s"]), early), trained: ["s"])),
        Case(description: "no value", method: try AdapterFusion(setup(.fuse(["s", "a"]), .fixed), trained: ["s"])),
        Case(
          description: "both block ends", method: try AdapterFusion(setup(.fuse(["h", "i"]), early), trained: ["i"])),
        Case(
          description: "stacked, none trained",
          method: try AdapterFusion(setup(.stack([.single("l"), .fuse(["s", "n", "a"])])))),
        Case(
          description: "frozen fusion, all trained",
          method: try BottleneckAdapters(setup(.fuse(["n", "s"]), early), trained: ["n", "s"])),
        Case(
          description: "parallel, all trained",
          method: try AdapterFusion(setup(.fuse(["p", "q"])), trained: ["p", "q"])
        ),
      ]
    } catch {
      preconditionFailure("a setup for tests: \(error)")
    }
  }()

  /// A model whose base is trained too, so that what flows on is compared as well, numbers away from their start.
  static func model(_ method: any FineTuningMethod, _ order: FusionOrder?) throws -> TinyModel {
    let method = AdapterGradientTests.WithBase(method: method)
    let shape = TinyModel.configuration()
    let model = TinyModel(shape, table: try method.table(for: shape)) { method.model($0, $1) }
    for entry in try method.addedParameters(shape) {
      model.vary(entry.name, within: entry.name.contains(".adapter_fusion_layer.") ? 0.15 : 0.3)
    }
    model.model.fuse(in: order)
    return model
  }

  static func order(_ model: TinyModel) -> Set<FusionOrder> {
    Set(model.model.encoder.layers.flatMap(\.blockOutputs).compactMap { ($0.branch as? AdapterBranch)?.fusionOrder })
  }

  /// Logits with dropout and without, losses, and every gradient.
  ///
  /// Error model: the orders round differently in sums of at most H = 24 products, one after another at most six deep,
  /// and the layers above carry that on: some 100 u of the largest number of a tensor, beside what cancels in it, which
  /// is a share of the largest gradient of all.
  @Test(arguments: cases)
  func sameFunction(_ test: Case) throws {
    let (plain, folded) = (try Self.model(test.method, .plain), try Self.model(test.method, .folded))
    for training in [false, true] {
      let (expected, found) = (
        plain.logits(TinyModel.reviews, training: training), folded.logits(TinyModel.reviews, training: training)
      )
      expectClose(found.flatMap { $0 }, expected.flatMap { $0 }, absolute: 2e-6, "logits")
    }
    expectClose(folded.addGradients(TinyModel.reviews), plain.addGradients(TinyModel.reviews), absolute: 2e-6, "losses")
    #expect(Self.order(plain) == [.plain] && Self.order(folded) == [.folded])
    let largest = plain.gradientValues.reduce(0) { max($0, abs($1)) }
    for entry in plain.table.trainableEntries {
      let name = entry.specification.name
      let expected = plain.gradient(name)
      let own = expected.reduce(0) { max($0, abs($1)) }
      expectClose(folded.gradient(name), expected, absolute: Double(6e-6 * own + 1e-7 * largest), name)
    }
    #expect(folded.isIntactAround)
  }

  /// A learned scale leaves only the plain order, whatever is asked for.
  @Test
  func learnedScale() throws {
    let setup = try AdapterSetup(Self.adapters, .fuse(["a", "learned"]))
    let model = try Self.model(AdapterFusion(setup, trained: ["learned"]), .folded)
    model.addGradients(TinyModel.reviews)
    #expect(Self.order(model) == [.plain])
  }

  /// A layer with many tokens folds; one that computes only what the head reads has too few.
  @Test
  func chosenByRows() throws {
    let model = try Self.model(Self.cases[0].method, nil)
    for (lengths, orders) in [([20, 20, 20], [FusionOrder.folded, .plain]), ([2, 2, 2], [.plain, .plain])] {
      model.addGradients(TinyReview.reviews(lengths: lengths, labelCount: 3))
      let found = model.model.encoder.layers.map { ($0.output.branch as? AdapterBranch)?.fusionOrder }
      #expect(found == orders)
    }
  }

  /// H 10, N 2, R 3, so K 6 and 200 operations with a matrix.
  @Test
  func operations() {
    let shape = FusionShape(hiddenSize: 10, count: 2, width: 3, trainedWidth: 2)
    func expect(
      _ shape: FusionShape, _ isTraining: Bool, plain: Int, folded: Int, once: Int,
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      for rows in [1, 7] {
        let found = FusionOrder.allCases.map { shape.operations($0, rows: rows, isTraining: isTraining) }
        #expect(found == [rows * plain, rows * folded + once], sourceLocation: sourceLocation)
      }
    }
    // Three matrices and U. Then K rows each way; once A, S and G.
    expect(shape, false, plain: 600 + 60, folded: 240, once: 3 * 1200)
    // Backward twice three matrices, U and two trained columns. Then three pairs of products; once dA, three gradients
    // of matrices, and key and value on two columns.
    expect(
      shape, true, plain: 660 + 1200 + 60 + 40, folded: 720, once: 3600 + 1200 + 3600 + 2 * 400)
    let fixed = FusionShape(hiddenSize: 10, count: 2, width: 3, hasValue: false)
    expect(fixed, true, plain: 460 + 800 + 60, folded: 720, once: 2400 + 1200 + 2400)
    let frozen = FusionShape(hiddenSize: 10, count: 2, width: 3, trainedWidth: 2, trainsFusion: false)
    expect(frozen, true, plain: 660 + 600 + 60 + 40, folded: 720, once: 3600 + 1200 + 800)
    let idle = FusionShape(hiddenSize: 10, count: 2, width: 3, trainsFusion: false)
    expect(idle, true, plain: 660 + 660, folded: 480, once: 3600)

    func first(_ shape: FusionShape, _ isTraining: Bool) -> Int? {
      (0...50).first { shape.order(rows: $0, isTraining: isTraining) == .folded }
    }
    #expect(first(shape, false) == 9)  // 3600 / (660 − 240) = 8.6
    #expect(first(shape, true) == 8)  // 9200 / (1960 − 720) = 7.4
    #expect(first(fixed, true) == 11)  // 6000 / (1320 − 720) = 10: a tie there
    #expect(first(idle, true) == 6)  // 3600 / (1320 − 480) = 4.3, but K is 6
    // Wide bottlenecks never pay: 18 H² + 4 HR against 12 HK.
    #expect(first(FusionShape(hiddenSize: 10, count: 2, width: 40), true) == nil)
  }
}

extension SequenceClassifier {
  /// Has every fusion multiply in an order.
  func fuse(in order: FusionOrder?) {
    for end in encoder.layers.flatMap(\.blockOutputs) { (end.branch as? AdapterBranch)?.fusionOrder = order }
  }
}
