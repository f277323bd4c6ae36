import BERT
import FineTuning
import Tensors
import TestSupport
import Testing

/// What was trained, folded into the weights of a plain BERT.
@Suite
struct MergedTests {
  static let mergeable = MethodCase.all.filter(\.method.canMerge)

  /// A plain model with a trained one's parameters, folded.
  static func merged(_ trained: TinyModel, _ method: any FineTuningMethod) throws -> TinyModel {
    let merged = Merged(method)
    let configuration = trained.configuration
    let plain = TinyModel(configuration, table: try merged.table(for: configuration)) { merged.model($0, $1) }
    plain.copyParameters(from: trained)
    for entry in plain.table.entries where entry.specification.name.hasSuffix(".weight") {
      let name = String(entry.specification.name.dropLast(".weight".count))
      let bias = plain.table.entry(name + ".bias").map { plain.store[$0.parameter] }
      method.fold(into: BaseWeight(name: name, weight: plain.store[entry.parameter], bias: bias), trained.store)
    }
    plain.store.writeTransposes()
    return plain
  }

  /// After training the merged model gives the same logits: rounding of another order of operations, 1e-5.
  @Test(arguments: mergeable)
  func sameLogits(_ test: MethodCase) throws {
    let trained = try test.variedModel()
    trained.train(5)
    let plain = try Self.merged(trained, test.method)
    let expected = trained.logits(TinyModel.reviews, training: false)
    for (found, expected) in zip(plain.logits(TinyModel.reviews, training: false), expected) {
      expectClose(found, expected, absolute: 1e-5)
    }
  }

  /// A row of zeros in the base has no direction: DoRA leaves it as it is, folded too.
  @Test(arguments: [LoRA.Variant.dora, .adapterHubDora])
  func aRowOfZerosStaysOne(_ variant: LoRA.Variant) throws {
    let method = try LoRA(loraRank: 2, dropout: 0, variant: variant)
    let trained = try MethodCase(method: method).variedModel()
    let name = "bert.encoder.layer.0.attention.self.query"
    for part in [".weight", ".lora_B.weight"] {
      let row = trained.store[trained.table[name + part]].rows(3..<4)
      row.fill(0)
    }
    trained.store.writeTransposes()
    let expected = trained.logits(TinyModel.reviews, training: false)
    #expect(expected.joined().allSatisfy { $0.isFinite })
    let plain = try Self.merged(trained, method)
    for (found, expected) in zip(plain.logits(TinyModel.reviews, training: false), expected) {
      expectClose(found, expected, absolute: 1e-5)
    }
  }

  /// A merged model has the base's tensors, no more, and none of them is trained.
  @Test(arguments: mergeable)
  func plainModel(_ test: MethodCase) throws {
    let merged = Merged(test.method)
    let configuration = TinyModel.configuration()
    let table = try merged.table(for: configuration)
    #expect(table.trainableCount == 0 && merged.name == test.method.name)
    #expect(table.entries.map(\.specification.name) == configuration.parameters { _ in true }.map(\.name))
    let model = merged.model(configuration, table)
    #expect(model.projections.allSatisfy { $0.branch == nil } && !model.encoder.needsGradient)
  }

  /// The fold changes what a projection or a table has an update for, and keeps every bit of everything else.
  @Test(arguments: mergeable)
  func untouched(_ test: MethodCase) throws {
    let trained = try test.variedModel()
    let plain = try Self.merged(trained, test.method)
    let added = try test.method.addedParameters(trained.configuration).map(\.name)
    for entry in plain.table.entries {
      let name = entry.specification.name
      let module = name.split(separator: ".").dropLast().joined(separator: ".")
      let isSame = Array(plain.store.elements(name)) == Array(trained.store.elements(name))
      let hasUpdate = added.contains { $0.hasPrefix(module + ".") }
      if name.hasSuffix(".weight") { #expect(isSame == !hasUpdate, "\(name)") }
      if name.hasSuffix(".bias"), !hasUpdate { #expect(isSame, "\(name)") }
    }
  }
}
