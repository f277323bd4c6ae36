import Tensors
import Testing

@Suite
struct ParameterTableTests {
  static func specification(
    _ name: String, _ shape: [Int], trained: Bool = true, rate: Float = 1
  ) -> ParameterSpecification {
    ParameterSpecification(name, shape, .constant(0), isTrainable: trained, learningRateScale: rate)
  }

  static let mixed = [
    specification("a.weight", [3, 4], trained: false), specification("b.weight", [2, 5]),
    specification("b.bias", [5]), specification("c.weight", [7], trained: false),
    specification("d.LayerNorm.weight", [6]), specification("e.weight", [1, 1]),
    specification("f.weight", [4, 2], rate: 3), specification("g.scale", [2], rate: 3),
    specification("h.bias", [2], trained: false),
  ]

  /// Each block is contiguous and without gaps, in the order of the specifications.
  @Test
  func layout() {
    let table = ParameterTable(Self.mixed)
    #expect(table.entries.map(\.specification.name) == Self.mixed.map(\.name))
    var ends = [false: 0, true: 0]
    for entry in table.entries {
      let (parameter, specification) = (entry.parameter, entry.specification)
      #expect(parameter.isTrainable == specification.isTrainable)
      #expect(parameter.offset == ends[parameter.isTrainable], "\(specification.name)")
      #expect(parameter.count == specification.count)
      #expect(parameter.columns == specification.shape.last)
      #expect(parameter.rows == (specification.shape.count == 1 ? 1 : specification.shape[0]))
      ends[parameter.isTrainable, default: 0] += parameter.count
    }
    #expect(table.frozenCount == 12 + 7 + 2 && table.frozenCount == ends[false])
    #expect(table.trainableCount == 10 + 5 + 6 + 1 + 8 + 2 && table.trainableCount == ends[true])
    #expect(table.count == table.frozenCount + table.trainableCount)
    #expect(table.trainableEntries.map(\.specification.name) == Self.mixed.filter(\.isTrainable).map(\.name))
  }

  /// Stretches that the optimiser treats alike are joined; together they cover the block in order.
  @Test
  func groups() {
    let table = ParameterTable(Self.mixed)
    let expected: [(Range<Int>, Bool, Float)] = [
      (0..<10, true, 1), (10..<21, false, 1), (21..<22, true, 1), (22..<32, true, 3),
    ]
    #expect(table.groups.count == expected.count)
    for (group, expected) in zip(table.groups, expected) {
      #expect(
        group.range == expected.0 && group.decays == expected.1 && group.learningRateScale == expected.2)
    }
    #expect(
      table.groups.reduce(0) { $1.range.lowerBound == $0 ? $1.range.upperBound : -1 } == table.trainableCount)
  }

  @Test(arguments: [true, false])
  func nothingOfOneKind(_ trained: Bool) {
    let table = ParameterTable([Self.specification("a", [2, 3], trained: trained)])
    #expect(table.frozenCount == (trained ? 0 : 6) && table.trainableCount == (trained ? 6 : 0))
    #expect(table.groups.count == (trained ? 1 : 0))
    let empty = ParameterTable([])
    #expect(empty.count == 0 && empty.groups.isEmpty && empty.entries.isEmpty)
  }

  @Test
  func lookUp() {
    let table = ParameterTable(Self.mixed)
    #expect(table["f.weight"] == Parameter(isTrainable: true, offset: 22, rows: 4, columns: 2))
    #expect(table["c.weight"] == Parameter(isTrainable: false, offset: 12, rows: 1, columns: 7))
    #expect(table.entry("f.weight")?.specification.shape == [4, 2])
    #expect(table.entry("f") == nil)
  }

  /// Sizes of a real model do not overflow and are not allocated: a table is arithmetic.
  @Test
  func largeShapes() {
    let table = ParameterTable([
      Self.specification("a", [1 << 24, 1 << 24]), Self.specification("b", [3, 5, 7]),
    ])
    #expect(table["b"] == Parameter(isTrainable: true, offset: 1 << 48, rows: 15, columns: 7))
  }

  /// Weight decay as the reference has it: not for names with "bias" or a normalisation in them.
  @Test(arguments: [
    ("bert.encoder.layer.0.output.dense.weight", true), ("bert.encoder.layer.0.output.dense.bias", false),
    ("bert.embeddings.LayerNorm.weight", false), ("bert.embeddings.LayerNorm.bias", false),
    ("bert.embeddings.word_embeddings.weight", true), ("classifier.weight", true), ("classifier.bias", false),
    ("a.query.lora_A.weight", true), ("a.query.lora_B.weight", true), ("a.layernorm.weight", false),
    ("a.adapter_norm_before.weight", false), ("a.adapter_down.0.weight", true),
    ("a.output.adapter_fusion_layer.x,y.value.weight", true),
  ])
  func decay(_ name: String, _ decays: Bool) {
    #expect(Self.specification(name, [2, 2]).decays == decays)
  }

  @Test
  func aNameTwiceIsRefused() async {
    await #expect(processExitsWith: .failure) {
      _ = ParameterTable([
        ParameterSpecification("a", [1], .constant(0), isTrainable: true),
        ParameterSpecification("a", [2], .constant(0), isTrainable: false),
      ])
    }
    await #expect(processExitsWith: .failure) { _ = ParameterTable([])["a"] }
  }
}
