import BERT
import Failures
import FineTuning
import FoundationEssentials
import Interchange
import Tensors
import TestSupport
import Testing
import Training

/// A model with a fixture's weights in memory of its own, and the inputs that all goldens share.
final class GoldenModel {
  let configuration: BERTConfiguration
  let store: ParameterStore
  let gradients: UnsafeMutablePointer<Float>
  let workspace: Workspace
  let model: SequenceClassifier
  let batch = TokenBatch()
  private(set) var labels: [Int32] = []

  /// - Parameters:
  ///   - method: How to fine-tune `fixtures/ckpt/seqcls`.
  ///   - files: Files of added tensors and of heads; the last one that has a tensor counts.
  ///   - published: The name of one of our parameters in those files; found out from PEFT's names when nil.
  ///   - types: The name of the token types among the inputs.
  ///   - readsAll: Whether the last layer is to compute every row, not `[CLS]` only.
  ///   - readsPadding: Whether padding is text like any other.
  ///   - head: Which head.
  ///   - source: What goes before all files.
  /// - Throws: `Failure` when a fixture is missing or damaged.
  init(
    _ method: any FineTuningMethod, files: [String] = [], published: ((String) -> String)? = nil,
    types: String = "token_type_ids", readsAll: Bool = false, readsPadding: Bool = false,
    head: HeadDesign = .pooled, source: (any ParameterSource)? = nil
  ) throws {
    let folder = try Fixtures.path("fixtures/ckpt/seqcls")
    var configuration = try BERTConfiguration(
      json: Data(Fixtures.bytes("fixtures/ckpt/seqcls/config.json")), source: folder)
    configuration.head = head
    self.configuration = configuration
    let table = try method.table(for: configuration)
    let frozen = UnsafeMutablePointer<Float>.allocate(capacity: max(1, table.frozenCount))
    let trainable = UnsafeMutablePointer<Float>.allocate(capacity: table.trainableCount)
    gradients = .allocate(capacity: table.trainableCount)
    gradients.initialize(repeating: 0, count: table.trainableCount)
    store = ParameterStore(
      table: table, frozen: frozen, trainable: trainable,
      transposes: .allocate(byteCount: max(1, table.transposeBytes), alignment: 64))
    model = method.model(configuration, table)
    let arena = try ActivationArena(capacity: model.arenaBytes(tokens: 1024, reviews: 16, longest: 64))
    arena.poisons = true
    workspace = Workspace(parameters: store, gradients: gradients, arena: arena, seed: 1)
    workspace.isTraining = true

    var archives = [try TensorArchive(opening: folder + "/model.safetensors")]
    for file in files { archives.append(try TensorArchive(opening: Fixtures.path("fixtures/" + file))) }
    let find = { (name: String, archive: TensorArchive) in
      if let published, archive.entry(named: published(name)) != nil { return published(name) }
      return GoldenModel.name(name, in: archive)
    }
    for entry in table.entries {
      let name = entry.specification.name
      if let source, source.shape(name) != nil {
        try source.read(name, shape: entry.specification.shape, into: store.elements(name))
        continue
      }
      guard let archive = archives.last(where: { $0.entry(named: find(name, $0)) != nil })
      else { throw Failure(.other, "the fixtures have no \(name)") }
      try archive.read(find(name, archive), into: store.elements(name))
    }
    store.writeTransposes()
    try fillBatch(types, readsAll: readsAll, readsPadding: readsPadding)
  }

  deinit {
    store.frozen.deallocate()
    store.trainable.deallocate()
    store.transposes?.deallocate()
    gradients.deallocate()
  }

  private static func name(_ name: String, in archive: TensorArchive) -> String {
    guard archive.entries.contains(where: { $0.name.hasPrefix("base_model.model.") }) else {
      return archive.entry(named: name) == nil ? oldAdapterName(name) : name
    }
    let plain = "base_model.model." + name
    guard name.hasSuffix(".bias"), archive.entry(named: plain) == nil else { return plain }
    return "base_model.model." + name.dropLast(5) + ".base_layer.bias"
  }

  /// What the adapter library of 2020 called a tensor of a language adapter.
  private static func oldAdapterName(_ name: String) -> String {
    var parts = name.split(separator: ".").map(String.init)
    if let index = parts.firstIndex(of: "adapters") { parts[index] = "layer_text_lang_adapters" }
    if let index = parts.firstIndex(of: "invertible_adapters") { parts[index] = "invertible_lang_adapters" }
    return parts.joined(separator: ".")
  }

  private func fillBatch(_ types: String, readsAll: Bool, readsPadding: Bool) throws {
    let inputs = try Fixtures.golden("inputs")
    let (ids, mask) = (try inputs.integers("input_ids"), try inputs.integers("attention_mask"))
    let types = try inputs.integers(types)
    labels = try inputs.integers("labels").map { Int32($0) }
    for row in labels.indices {
      let cells = row * 64..<row * 64 + 64
      let count = readsPadding ? cells.count : mask[cells].reduce(0, +)
      let tokens = ids[cells].prefix(count).map { Int32($0) }
      let reads = (0..<Int32(count)).map { $0 }
      let first = types[cells].prefix(count).prefix { $0 == 0 }.count
      tokens.withUnsafeBufferPointer { tokens in
        reads.withUnsafeBufferPointer { reads in
          batch.append(
            tokens: tokens, secondSegmentStart: first, review: UInt32(row), reads: readsAll ? reads : nil)
        }
      }
    }
  }

  func logits() -> [Float] {
    batch.withViews { views in
      workspace.arena.reset()
      let logits = model.logits(views, workspace)
      return Array(UnsafeBufferPointer(start: logits.base, count: logits.rows * logits.columns))
    }
  }

  var pooled: [Float] {
    guard let pooled = model.head.pooled else { return [] }
    return Array(UnsafeBufferPointer(start: pooled.base, count: pooled.rows * pooled.columns))
  }

  /// Adds the gradient of the sum of losses, and returns their mean.
  func addGradients() -> Double {
    var losses = [Double](repeating: 0, count: labels.count)
    batch.withViews { views in
      workspace.arena.reset()
      model.addGradients(views, labels: labels, losses: &losses, workspace)
    }
    return losses.reduce(0, +) / Double(losses.count)
  }

  /// The mean gradient of a trained parameter.
  func gradient(_ name: String) -> [Float] {
    let parameter = store.table[name]
    return (0..<parameter.count).map { gradients[parameter.offset + $0] / Float(labels.count) }
  }
}

// MARK: Hidden states

extension GoldenModel {
  /// Compares the states after the embeddings and after each layer, as far as a golden has them, with the model's.
  /// - Parameters:
  ///   - golden: Has `hidden.N` for all reviews, `hidden2.N` for the first ones.
  ///   - tolerance: The absolute tolerance.
  ///   - check: More to look at after a layer, by its number.
  /// - Throws: What reading the golden throws, or `check`.
  func expectHiddenStates(
    _ golden: Golden, within tolerance: Double, _ check: (Int, BatchViews) throws -> Void = { _, _ in }
  ) throws {
    try batch.withViews { views in
      workspace.arena.reset()
      var (x, compared) = (model.encoder.embeddings.forward(views, workspace), 0)
      for state in 0...model.encoder.layers.count {
        if state > 0 {
          x =
            model.encoder.layers[state - 1].forward(
              Operand(x), views, onlyReads: state == model.encoder.layers.count, saves: true, workspace
            ).values
          try check(state - 1, views)
        }
        for name in ["hidden.\(state)", "hidden2.\(state)"] where !golden.names(under: name).isEmpty {
          try expectRows(x, views, golden, name, tolerance)
          compared += 1
        }
      }
      #expect(compared > 1, "hidden states among the goldens")
    }
  }
}

/// Compares rows of all tokens with a golden of `[reviews, positions, width]`, whose padding is left out.
func expectRows(_ x: Matrix, _ views: BatchViews, _ golden: Golden, _ name: String, _ tolerance: Double) throws {
  let tensor = try golden.tensor(name)
  let (reviews, length, width) = (tensor.shape[0], tensor.shape[1], tensor.shape[2])
  for review in 0..<reviews {
    for row in Int(views.tokens.offsets[review])..<Int(views.tokens.offsets[review + 1]) {
      let position = Int(views.tokens.positions[row])
      let start = (review * length + position) * width
      expectClose(
        UnsafeBufferPointer(start: x.row(row), count: width), tensor.floats[start..<start + width],
        absolute: tolerance, "\(name), review \(review), position \(position)")
    }
  }
}

// MARK: Three steps

extension GoldenModel {
  /// Three steps as the references made them: learning rates 0, 2e-3 and 1.33e-3, weight decay 0.01.
  /// - Parameter addRegularization: Adds a penalty's gradient in a step.
  /// - Throws: `Failure` where there is no memory.
  func trainThreeSteps(addingAfterEach addRegularization: (Int) -> Void = { _ in }) throws {
    var settings = Optimizer.Settings()
    settings.weightDecay = 0.01
    let optimizer = try Optimizer(store, settings)
    let schedule = LearningRateSchedule(shape: .linear, peak: 2e-3, warmupSteps: 1, totalSteps: 4)
    let before = Array(UnsafeBufferPointer(start: store.frozen, count: store.table.frozenCount))
    for step in 0..<3 {
      _ = addGradients()
      addRegularization(step)
      let norm = optimizer.norm(of: gradients, count: 16)
      optimizer.step(gradients, count: 16, norm: norm, learningRate: schedule.rate(at: step))
    }
    let after = UnsafeBufferPointer(start: store.frozen, count: store.table.frozenCount)
    #expect(before.elementsEqual(after), "frozen weights are bit-identical after training")
  }

  /// Expects every trained parameter to be where three steps took the reference's.
  ///
  /// AdamW divides a gradient by its own size. Where that is thousands of times the references' noise of 1e-8, so is the
  /// quotient: parameters differ by at most 3.3e-3 / 1000, a tenth of what weight decay does to a weight of 1. Where it
  /// is smaller, steps follow the noise itself in part.
  /// - Parameters:
  ///   - golden: The reference.
  ///   - clear: What is allowed where gradients are large; more than by default where the order of products is another,
  ///     but still below what weight decay does.
  ///   - noisy: What is allowed where gradients are small.
  ///   - named: The reference's name of one of our parameters.
  /// - Throws: `Failure` when a fixture is missing.
  func expectParametersAfterThreeSteps(
    _ golden: Golden, clear: Double = 4e-6, noisy: Double, named: (String) -> String = { $0 }
  ) throws {
    let gradients = Set(golden.names(under: "grad/"))
    var clearCount = 0
    // The gradient of a key's bias is zero, and rounding all that the references have.
    for name in store.table.trainableEntries.map(\.specification.name) where !name.hasSuffix("key.bias") {
      let found = Array(store.elements(name))
      let expected = try golden.floats("after3/" + named(name))
      let gradient = gradients.contains(named(name)) ? try golden.floats("grad/" + named(name)) : []
      let clearOnes = gradient.indices.filter { abs(gradient[$0]) > 3e-5 }
      clearCount += clearOnes.count
      expectClose(clearOnes.map { found[$0] }, clearOnes.map { expected[$0] }, absolute: clear, "\(name), of gradients")
      expectClose(found, expected, absolute: noisy, name)
    }
    #expect(clearCount > store.table.trainableCount / 10)
  }
}
