import BERT
import Failures
import FineTuning
import Tensors
import TestSupport
import Testing

/// The LoRA family, (IA)³ and prefix tuning by themselves: gradients with dropout, starts, merging, counts, refusals.
@Suite
struct LoRAFamilyTests {
  struct Case: Sendable, CustomStringConvertible {
    let description: String
    let method: any FineTuningMethod

    init(_ description: String, _ method: any FineTuningMethod) {
      self.description = description
      self.method = method
    }
  }

  static let cases: [Case] = {
    let linear = ["all-linear"]
    let made: [(String, () throws -> any FineTuningMethod)] = [
      (
        "lora, embeddings, patterns",
        {
          try LoRA(
            loraRank: 2, dropout: 0.2, targets: ["query", "dense", "word_embeddings"], plusRatio: 4,
            ranks: ["query": 3, "0.attention.self.query": 1], alphas: ["dense": 5])
        }
      ),
      ("rslora", { try LoRA(loraRank: 3, dropout: 0.2, targets: linear, bias: .loraOnly, variant: .rslora) }),
      ("dora without dropout", { try LoRA(loraRank: 2, dropout: 0, targets: linear, bias: .all, variant: .dora) }),
      ("dora", { try LoRA(loraRank: 2, dropout: 0.2, targets: linear, bias: .all, variant: .dora) }),
      (
        "adapterhub-dora",
        { try LoRA(loraRank: 2, dropout: 0.2, targets: linear, bias: .all, variant: .adapterHubDora) }
      ),
      ("ia3", { IA3() }),
      ("prefix-tuning", { try PrefixTuning(length: 3, bottleneckSize: 5) }),
    ]
    return made.compactMap { name, make in (try? make()).map { Case(name, $0) } }
  }()

  @Test
  func everyCaseIsThere() { #expect(LoRAFamilyTests.cases.count == 7) }

  /// Central differences of the loss along some numbers of every trained parameter, dropout on.
  @Test(arguments: cases)
  func centralDifferences(_ test: Case) throws {
    let small = try SmallModel(test.method, dropout: 0.15)
    small.disturb()
    small.addGradients()
    let table = small.store.table
    let gradients = Array(UnsafeBufferPointer(start: small.gradients, count: table.trainableCount))
    let lengths = DetachedLengths(small)
    let step: Float = 1.0 / 128
    for entry in table.trainableEntries {
      let values = small.store.elements(entry.specification.name)
      // A few numbers of each parameter, spread over it.
      for i in stride(from: 0, to: values.count, by: max(1, values.count / 5)) {
        let before = values[i]
        let losses = [step, -step].map { offset in
          values[i] = before + offset
          lengths.hold(entry.specification.name)
          return small.addGradients()
        }
        values[i] = before
        lengths.hold(entry.specification.name)
        expectClose(
          Double(gradients[entry.parameter.offset + i]), (losses[0] - losses[1]) / Double(2 * step),
          relative: 4e-3, absolute: 3e-3, "\(entry.specification.name)[\(i)]")
      }
    }
  }

  /// Before the first step, every method but prefix tuning computes what its base does.
  @Test
  func startsFromTheBase() throws {
    let base = try SmallModel(FullFineTuning()).logits()
    for variant in LoRA.Variant.allCases {
      let some = try SmallModel(LoRA(loraRank: 4, variant: variant)).logits()
      #expect(some == base, "\(variant) at query and value: the same bits")
      let all = try SmallModel(LoRA(loraRank: 4, targets: ["all-linear"], variant: variant)).logits()
      expectClose(all, base, absolute: 2e-6, "\(variant) everywhere")
    }
    let embeddings = try LoRA(loraRank: 4, targets: ["word_embeddings"])
    #expect(try SmallModel(embeddings).logits() == base)
    expectClose(try SmallModel(IA3()).logits(), base, absolute: 2e-6, "ia3")
  }

  /// The trained model as a plain BERT.
  @Test(arguments: cases.filter { $0.method.canMerge })
  func mergedEqualsUnmerged(_ test: Case) throws {
    let small = try SmallModel(test.method)
    small.disturb()
    let plain = try SmallModel(Merged(test.method))
    let table = plain.store.table
    for entry in table.entries {
      plain.store[entry.parameter].copy(from: small.store[entry.specification.name])
    }
    plain.store.writeTransposes()
    let before = plain.logits()
    for entry in table.entries where entry.specification.name.hasSuffix(".weight") {
      let module = String(entry.specification.name.dropLast(".weight".count))
      let bias = table.entry(module + ".bias").map { plain.store[$0.parameter] }
      test.method.fold(
        into: BaseWeight(name: module, weight: plain.store[entry.parameter], bias: bias), small.store)
    }
    plain.store.writeTransposes()
    let logits = small.logits()
    expectClose(plain.logits(), logits, absolute: 1e-5, "merged")
    #expect(relativeL2(before, logits) > 1e-2, "what was added makes a difference")
  }

  @Test
  func aPrefixCannotBeMerged() throws {
    #expect(try !PrefixTuning().canMerge)
    // Two prefixes are not the same model.
    let logits = try [1, 4].map { try SmallModel(PrefixTuning(length: $0, bottleneckSize: 5)).logits() }
    #expect(relativeL2(logits[0], logits[1]) > 1e-2)
  }

  /// How many numbers are trained at the shape of bert-base-multilingual-cased, the classifier's 1,538 included.
  @Test
  func trainableCounts() throws {
    var shape = BERTConfiguration()
    shape.vocabularySize = 119_547
    let (h, i, layers, head) = (768, 3072, 12, 2 * 768 + 2)
    func count(_ method: any FineTuningMethod) throws -> Int { try method.table(for: shape).trainableCount }
    #expect(try count(LoRA(loraRank: 16)) == 589_824 + head)
    #expect(try count(LoRA(loraRank: 16, variant: .rslora)) == 589_824 + head)
    #expect(try count(LoRA(loraRank: 16, variant: .dora)) == 589_824 + layers * 2 * h + head)
    #expect(try count(LoRA(loraRank: 16, layers: [0, 1, 2, 7])) == 589_824 / 3 + head)
    #expect(try count(LoRA(loraRank: 8, ranks: ["value": 2])) == layers * 2 * h * (8 + 2) + head)
    let linear = layers * (4 * 2 * h + 2 * (h + i)) + 2 * h
    #expect(try count(LoRA(loraRank: 4, targets: ["all-linear"])) == 4 * linear + head)
    #expect(try count(LoRA(loraRank: 4, targets: ["word_embeddings"])) == 4 * (119_547 + h) + head)
    #expect(try count(LoRA(loraRank: 16, bias: .loraOnly)) == 589_824 + layers * 2 * h + head)
    #expect(try count(IA3()) == layers * (2 * h + i) + head)
    let network = 512 * h + 512 + 2 * layers * h * 512 + 2 * layers * h
    #expect(try count(PrefixTuning()) == 30 * h + network + head)
  }

  /// LoRA+ multiplies the rate of B and of nothing else.
  @Test
  func plusRatio() throws {
    let targets = ["query", "dense", "word_embeddings"]
    let method = try LoRA(loraRank: 2, targets: targets, variant: .rslora, plusRatio: 16)
    for entry in try method.table(for: SmallModel.configuration(dropout: 0)).trainableEntries {
      let name = entry.specification.name
      let isB = name.contains("lora_B") || name.contains("lora_embedding_B")
      #expect(entry.specification.learningRateScale == (isB ? 16 : 1), "\(name)")
    }
  }

  @Test
  func scales() throws {
    #expect(try LoRA(loraRank: 16, alpha: 8).scale(of: "query") == 0.5)
    #expect(try LoRA(loraRank: 16, alpha: 8, variant: .rslora).scale(of: "query") == 2)
    let patterns = try LoRA(loraRank: 16, alpha: 8, ranks: ["dense": 4, "output.dense": 2], alphas: ["query": 1])
    #expect(patterns.scale(of: "bert.pooler.dense") == 2)
    #expect(patterns.scale(of: "bert.encoder.layer.0.output.dense") == 4)
    #expect(patterns.scale(of: "bert.encoder.layer.0.attention.self.query") == 1.0 / 16)
  }

  /// Layers are chosen as PEFT's `layers_to_transform` does: the pooler lies in none.
  @Test
  func layersAndTargets() throws {
    let method = try LoRA(loraRank: 2, targets: ["dense"], layers: [1])
    #expect(method.isTarget("bert.encoder.layer.1.output.dense"))
    #expect(!method.isTarget("bert.encoder.layer.11.output.dense"))
    #expect(!method.isTarget("bert.encoder.layer.0.output.dense"))
    #expect(!method.isTarget("bert.pooler.dense"))
    #expect(try LoRA(loraRank: 2, targets: ["dense"]).isTarget("bert.pooler.dense"))
    let linear = try LoRA(loraRank: 2, targets: ["all-linear"], bias: .loraOnly)
    #expect(!linear.isTarget("bert.embeddings.word_embeddings"))
    #expect(linear.trains("bert.encoder.layer.0.output.dense.bias"))
    #expect(!linear.trains("bert.encoder.layer.0.output.LayerNorm.bias"))
  }

  @Test
  func refusals() {
    let shape = SmallModel.configuration(dropout: 0)
    #expect(throws: Failure.self) { try LoRA(loraRank: 0) }
    #expect(throws: Failure.self) { try LoRA(loraRank: 2, ranks: ["query": 0]) }
    #expect(throws: Failure.self) { try LoRA(loraRank: 2, plusRatio: 0) }
    #expect(throws: Failure.self) { try LoRA(loraRank: 2, layers: []) }
    #expect(throws: Failure.self) { try PrefixTuning(length: 0) }
    #expect(throws: Failure.self) { try LoRA(loraRank: 2, targets: ["qeury"]).addedParameters(shape) }
    #expect(throws: Failure.self) { try LoRA(loraRank: 2, layers: [2]).addedParameters(shape) }
    #expect(throws: Failure.self) {
      try LoRA(loraRank: 2, targets: ["word_embeddings"], layers: [0]).addedParameters(shape)
    }
    #expect(throws: Failure.self) {
      try LoRA(loraRank: 2, targets: ["word_embeddings"], variant: .dora).addedParameters(shape)
    }
  }
}

/// PEFT's DoRA takes the lengths of its rows as constants in backward. To difference the same function, magnitudes are
/// moved with the lengths, so that their ratio stays.
private struct DetachedLengths {
  private let small: SmallModel
  private let ratios: [String: [Double]]

  init(_ small: SmallModel) {
    self.small = small
    var ratios: [String: [Double]] = [:]
    if let method = small.method as? LoRA, method.variant == .dora {
      for projection in small.model.projections where method.isTarget(projection.name) {
        let magnitudes = small.store.elements(projection.name + ".lora_magnitude_vector")
        ratios[projection.name] = zip(
          magnitudes, DetachedLengths.lengths(projection.name, method.scale(of: projection.name), small.store)
        ).map { Double($0) / $1 }
      }
    }
    self.ratios = ratios
  }

  /// To be called when A or B was changed.
  func hold(_ parameter: String) {
    guard let end = parameter.firstRange(of: ".lora_")?.lowerBound, !parameter.hasSuffix("_vector"),
      let method = small.method as? LoRA, let ratios = ratios[String(parameter[..<end])]
    else { return }
    let module = String(parameter[..<end])
    let lengths = DetachedLengths.lengths(module, method.scale(of: module), small.store)
    let magnitudes = small.store.elements(module + ".lora_magnitude_vector")
    for i in ratios.indices { magnitudes[i] = Float(ratios[i] * lengths[i]) }
  }

  private static func lengths(_ module: String, _ scale: Double, _ store: ParameterStore) -> [Double] {
    let weight = store[module + ".weight"]
    let (a, b) = (store[module + ".lora_A.weight"], store[module + ".lora_B.weight"])
    return (0..<weight.rows).map { r in
      (0..<weight.columns).reduce(0.0) { total, c in
        let update = (0..<a.rows).reduce(0.0) { $0 + Double(b.row(r)[$1]) * Double(a.row($1)[c]) }
        let value = Double(weight.row(r)[c]) + scale * update
        return total + value * value
      }.squareRoot()
    }
  }
}
