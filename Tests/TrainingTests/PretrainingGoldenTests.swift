import BERT
import FineTuning
import FoundationEssentials
import Interchange
import Tensors
import TestSupport
import Testing
import Training

/// Masked-language modelling, sentence pairs and language adapters against Transformers and AdapterHub's library: logits,
/// losses and every gradient.
@Suite(.enabled(if: Fixtures.areAvailable))
struct PretrainingGoldenTests {
  /// A model over `fixtures/ckpt/pretraining`, in memory of its own, and the goldens' batch.
  final class Model {
    let store: ParameterStore
    let model: MaskedLanguageModel
    private let gradients: UnsafeMutablePointer<Float>
    private let workspace: Workspace
    private let batch = TokenBatch()
    private var labels: [Int32] = []
    private(set) var hiddenCount = 0

    init(
      _ method: any FineTuningMethod, adapter: String? = nil, nextSentence: Bool = false, inverts: Bool = true
    ) throws {
      let folder = try Fixtures.path("fixtures/ckpt/pretraining")
      var shape = try BERTConfiguration(
        json: Data(Fixtures.bytes("fixtures/ckpt/pretraining/config.json")), source: folder)
      shape.task = .maskedLanguage(nextSentence: nextSentence)
      let table = try method.table(for: shape)
      store = ParameterStore(
        table: table, frozen: .allocate(capacity: max(1, table.frozenCount)),
        trainable: .allocate(capacity: table.trainableCount))
      gradients = .allocate(capacity: table.trainableCount)
      gradients.initialize(repeating: 0, count: table.trainableCount)
      model = method.attached(to: MaskedLanguageModel(shape, table, inverts: inverts), table)
      let arena = try ActivationArena(capacity: model.arenaBytes(tokens: 1024, reviews: 16, longest: 64))
      arena.poisons = true
      workspace = Workspace(parameters: store, gradients: gradients, arena: arena, seed: 1)
      workspace.isTraining = true
      var archives = [try TensorArchive(opening: folder + "/model.safetensors")]
      if let adapter { archives.append(try TensorArchive(opening: Fixtures.path("fixtures/" + adapter))) }
      for entry in table.entries {
        let name = entry.specification.name
        let archive = try #require(archives.first { $0.entry(named: name) != nil }, "\(name)")
        try archive.read(name, into: store.elements(name))
      }
      try fill(nextSentence)
    }

    deinit {
      store.frozen.deallocate()
      store.trainable.deallocate()
      gradients.deallocate()
    }

    private func fill(_ nextSentence: Bool) throws {
      let inputs = try Fixtures.golden("inputs")
      let (ids, mask) = (try inputs.integers("mlm_input_ids"), try inputs.integers("attention_mask"))
      let (types, hidden) = (
        try inputs.integers(nextSentence ? "pair_token_type_ids" : "token_type_ids"),
        try inputs.integers("mlm_labels")
      )
      let pairs = try inputs.integers("nsp_labels")
      for row in 0..<16 {
        let cells = row * 64..<row * 64 + 64
        let count = mask[cells].reduce(0, +)
        let tokens = ids[cells].prefix(count).map { Int32($0) }
        let positions = (0..<count).filter { hidden[row * 64 + $0] != -100 }
        hiddenCount += positions.count
        let reads = (nextSentence ? [0] : []) + positions.map { Int32($0) }
        labels += (nextSentence ? [Int32(pairs[row])] : []) + positions.map { Int32(hidden[row * 64 + $0]) }
        let first = types[cells].prefix(count).prefix { $0 == 0 }.count
        tokens.withUnsafeBufferPointer { tokens in
          reads.withUnsafeBufferPointer { reads in
            batch.append(tokens: tokens, secondSegmentStart: first, review: UInt32(row), reads: reads)
          }
        }
      }
    }

    /// The logits of the first 16 hidden tokens, and those of the pairs.
    func logits() -> (tokens: [Float], pairs: [Float]) {
      batch.withViews { views in
        workspace.arena.reset()
        let (tokens, pairs) = model.logits(views, workspace)
        let rows = { (matrix: Matrix, count: Int) in
          Array(UnsafeBufferPointer(start: matrix.base, count: count * matrix.columns))
        }
        return (rows(tokens, 16), pairs.map { rows($0, $0.rows) } ?? [])
      }
    }

    /// Adds the gradients; the mean loss over hidden tokens, with that over pairs added.
    func addGradients() -> Double {
      workspace.sentenceWeight = Float(hiddenCount) / 16
      var losses = [Double](repeating: 0, count: labels.count)
      batch.withViews { views in
        workspace.arena.reset()
        model.addGradients(views, labels: labels, losses: &losses, workspace)
      }
      return losses.reduce(0, +) / Double(hiddenCount)
    }

    func gradient(_ name: String) -> [Float] {
      let parameter = store.table[name]
      return (0..<parameter.count).map { gradients[parameter.offset + $0] / Float(hiddenCount) }
    }
  }

  private static func languageAdapter() throws -> any FineTuningMethod {
    try BottleneckAdapters(
      AdapterSetup(["ko": AdapterGoldenTests.configuration("lang_ko")], .single("ko")), trained: ["ko"])
  }

  /// Logits, the loss, and every gradient that the golden has.
  private func check(_ model: Model, _ name: String, trained: Bool = true) throws {
    let golden = try Fixtures.golden(name)
    expectClose(model.logits().tokens, try golden.floats("logits_at_masked"), absolute: 5e-6, "logits")
    expectClose(model.addGradients(), Double(try golden.floats("loss")[0]), absolute: 5e-6, "loss")
    let names = golden.names(under: "grad/")
    #expect(!names.isEmpty)
    if trained { #expect(Set(names) == Set(model.store.table.trainableEntries.map(\.specification.name))) }
    for name in names {
      expectClose(model.gradient(name), try golden.floats("grad/" + name), absolute: 5e-6, name)
    }
  }

  /// The tied table's gradient is the sum of both of its uses; row 0 has the decoder's alone.
  @Test
  func hiddenTokens() throws { try check(Model(FullFineTuning()), "mlm") }

  @Test
  func sentencePairs() throws {
    let golden = try Fixtures.golden("pretraining")
    let model = try Model(FullFineTuning(), nextSentence: true)
    let logits = model.logits()
    expectClose(logits.tokens, try golden.floats("mlm_logits_at_masked"), absolute: 5e-6, "tokens")
    expectClose(logits.pairs, try golden.floats("nsp_logits"), absolute: 5e-6, "pairs")
    expectClose(model.addGradients(), Double(try golden.floats("loss")[0]), absolute: 5e-6, "loss")
  }

  /// The library's flexible head undoes the invertible block before the decoder, as MAD-X does; what we train is that.
  @Test
  func languageAdapterWithInverse() throws {
    try check(
      Model(Self.languageAdapter(), adapter: "adapterhub/lang_ko/pytorch_adapter.bin"), "ah_mlm_lang_flex_head",
      trained: false)
  }

  /// Transformers' own head does not.
  @Test
  func languageAdapterWithoutInverse() throws {
    try check(
      Model(Self.languageAdapter(), adapter: "adapterhub/lang_ko/pytorch_adapter.bin", inverts: false),
      "ah_mlm_lang_static_head")
  }
}
