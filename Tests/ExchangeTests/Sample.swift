import BERT
import Exchange
import Failures
import FineTuning
import Randomness
import Tensors
import Testing

/// A trained method over a tiny base, with random numbers, ready to leave.
final class Sample {
  let adapter: OutgoingAdapter
  private let memory: UnsafeMutablePointer<Float>

  /// - Parameters:
  ///   - name: What `--method` calls it.
  ///   - head: Which head.
  ///   - replaced: Tensors of the base that the file brings too.
  ///   - change: Changes the method's options.
  /// - Throws: `Failure` when there is no such method.
  init(
    _ name: String, head: HeadDesign = .pooled, replaced: [String] = [],
    _ change: (inout FineTuningOptions) throws -> Void = { _ in }
  ) throws {
    var options = FineTuningOptions()
    (options.loraRank, options.prefixLength, options.prefixBottleneck) = (3, 4, 5)
    try change(&options)
    var base = Sample.base
    base.head = head
    let method = try FineTuningMethods.method(named: name, options)
    let table = try method.table(for: base)
    memory = .allocate(capacity: table.count)
    let store = ParameterStore(table: table, frozen: memory, trainable: memory + table.frozenCount)
    for (index, entry) in table.entries.enumerated() {
      let generator = Philox(seed: UInt32(index), purpose: .test)
      let values = store.elements(entry.specification.name)
      for i in values.indices { values[i] = Philox.uniform(generator.words(UInt32(i)).0) - 0.5 }
    }
    adapter = OutgoingAdapter(
      method, base, labels: ["bad", "so-so", "good"], baseName: "tiny", replaced: replaced, store)
  }

  deinit { memory.deallocate() }

  /// A base of two layers.
  static let base: BERTConfiguration = {
    var base = BERTConfiguration()
    (base.vocabularySize, base.hiddenSize, base.layerCount, base.attentionHeadCount) = (11, 8, 2, 2)
    (base.intermediateSize, base.positionCount, base.labelCount) = (12, 6, 3)
    return base
  }()

  /// The names of what is expected in a folder: what the method added, its biases, the head.
  var names: Set<String> {
    get throws {
      let added = try adapter.method.addedParameters(adapter.configuration).map(\.name)
      let lora = adapter.method as? LoRA
      let kept = adapter.store.table.entries.map(\.specification.name).filter { name in
        HeadDesign.owns(name) || name.hasSuffix(".bias") && name.hasPrefix("bert.") && lora?.trains(name) == true
      }
      return Set(added + kept + adapter.replaced)
    }
  }

  /// Expects that a folder brings the same numbers under the same names.
  func expectSameNumbers(_ found: ForeignAdapter, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(try Set(found.names) == names, sourceLocation: sourceLocation)
    for name in found.names {
      let shape = try #require(adapter.store.table.entry(name)).specification.shape
      #expect(found.shape(name) == shape, "\(name)", sourceLocation: sourceLocation)
      let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: shape.reduce(1, *))
      defer { values.deallocate() }
      values.initialize(repeating: 0)
      try found.read(name, shape: shape, into: values)
      #expect(
        Array(values) == Array(adapter.store.elements(name)), "the numbers of \(name)", sourceLocation: sourceLocation)
    }
  }
}

/// Expects a refusal of a kind whose sentence has some words.
func expectRefusal(
  _ kind: Failure.Kind, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("it was not refused", sourceLocation: sourceLocation)
  } catch let failure as Failure {
    #expect(failure.kind == kind, "\(failure.message)", sourceLocation: sourceLocation)
    for word in words {
      #expect(failure.message.contains(word), "\(failure.message)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record("another error: \(error)", sourceLocation: sourceLocation)
  }
}
