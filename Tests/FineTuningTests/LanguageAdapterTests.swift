import BERT
import FineTuning
import Kernels
import Tensors
import TestSupport
import Testing

/// A language adapter under masked-language modelling: its invertible block works at both ends of the model.
@Suite
struct LanguageAdapterTests {
  private static func model(inverts: Bool) throws -> TinyMaskedModel {
    var adapter = AdapterConfiguration.language
    // Smooth, so that differences tell the slope.
    adapter.activation = .gelu
    let method = try BottleneckAdapters(AdapterSetup(["ko": adapter], .single("ko")), trained: ["ko"])
    let model = try TinyMaskedModel(TinyModel.configuration(dropout: 0.1), table: { try method.table(for: $0) }) {
      method.attached(to: MaskedLanguageModel($0, $1, inverts: inverts), $1)
    }
    // Blocks far from the identity, so that every path matters.
    for name in model.store.table.trainableEntries.map(\.specification.name) where name.contains(".ko.") {
      var numbers = MadeUpNumbers(name.utf8.count)
      for i in model.store.elements(name).indices { model.store.elements(name)[i] = numbers.number(in: -0.5...0.5) }
    }
    return model
  }

  @Test(arguments: [true, false])
  func everyGradient(_ inverts: Bool) throws {
    let model = try Self.model(inverts: inverts)
    model.addGradients()
    expectCentralDifferences(model.store, gradient: model.gradient, lossCount: 6) { model.loss() }
  }

  /// The adapter, its block and the map before the decoder are trained; the base and the decoder are not.
  @Test
  func whatIsTrained() throws {
    let names = try Self.model(inverts: true).store.table.trainableEntries.map(\.specification.name)
    #expect(names.allSatisfy { $0.contains(".ko.") || $0.hasPrefix("cls.predictions.transform.") })
    #expect(names.contains("bert.invertible_adapters.ko.F.0.weight"))
    #expect(!names.contains("cls.predictions.bias"))
  }

  /// The inverse undoes the block: losses differ from those without it only because something lies in between.
  @Test
  func inverseMatters() throws {
    let (with, without) = (try Self.model(inverts: true).loss(), try Self.model(inverts: false).loss())
    #expect(abs(with - without) > 1e-3)
  }
}
