import BERT
import Tensors
import Testing

/// The published tensors: names, shapes, starts, and the order that makes query, key and value one product.
@Suite
struct BERTParametersTests {
  static let configuration: BERTConfiguration = {
    var c = BERTConfiguration()
    (c.vocabularySize, c.hiddenSize, c.intermediateSize) = (50, 24, 40)
    (c.layerCount, c.attentionHeadCount, c.positionCount, c.typeCount, c.labelCount) = (3, 4, 20, 2, 5)
    return c
  }()

  /// The table of the format's description, written out: V 50, P 20, T 2, H 24, I 40, n 5.
  static let published: [String: [Int]] = {
    var shapes: [String: [Int]] = [
      "bert.embeddings.word_embeddings.weight": [50, 24],
      "bert.embeddings.position_embeddings.weight": [20, 24],
      "bert.embeddings.token_type_embeddings.weight": [2, 24],
      "bert.embeddings.LayerNorm.weight": [24], "bert.embeddings.LayerNorm.bias": [24],
      "bert.pooler.dense.weight": [24, 24], "bert.pooler.dense.bias": [24],
      "classifier.weight": [5, 24], "classifier.bias": [5],
    ]
    for layer in ["0", "1", "2"] {
      let of: [String: [Int]] = [
        "attention.self.query.weight": [24, 24], "attention.self.query.bias": [24],
        "attention.self.key.weight": [24, 24], "attention.self.key.bias": [24],
        "attention.self.value.weight": [24, 24], "attention.self.value.bias": [24],
        "attention.output.dense.weight": [24, 24], "attention.output.dense.bias": [24],
        "attention.output.LayerNorm.weight": [24], "attention.output.LayerNorm.bias": [24],
        "intermediate.dense.weight": [40, 24], "intermediate.dense.bias": [40],
        "output.dense.weight": [24, 40], "output.dense.bias": [24],
        "output.LayerNorm.weight": [24], "output.LayerNorm.bias": [24],
      ]
      for (name, shape) in of { shapes["bert.encoder.layer.\(layer).\(name)"] = shape }
    }
    return shapes
  }()

  @Test
  func namesAndShapes() {
    let list = Self.configuration.parameters { _ in true }
    #expect(list.count == 5 + 16 * 3 + 2 + 2)
    let found = Dictionary(list.map { ($0.name, $0.shape) }) { first, _ in first }
    #expect(found == Self.published)
  }

  /// Counts that are published for well-known shapes: bert-base-uncased with two classes, and multilingual cased.
  @Test(arguments: [(30_522, 109_483_778), (119_547, 177_854_978)])
  func counts(_ vocabularySize: Int, _ count: Int) {
    var configuration = BERTConfiguration()
    configuration.vocabularySize = vocabularySize
    let list = configuration.parameters { _ in false }
    #expect(list.count == 5 + 16 * 12 + 2 + 2)
    #expect(list.reduce(0) { $0 + $1.count } == count)
  }

  /// Linear maps and embeddings normal, biases zero, normalisations one and zero, the padding token's row zero.
  @Test
  func starts() {
    var configuration = Self.configuration
    configuration.initializerRange = 0.04
    configuration.padTokenID = 3
    for specification in configuration.parameters(isTrainable: { _ in true }) {
      let name = specification.name
      let expected: Initializer =
        if name.hasSuffix("word_embeddings.weight") {
          .normal(deviation: 0.04, zeroRow: 3)
        } else if name.hasSuffix("LayerNorm.weight") {
          .constant(1)
        } else if name.hasSuffix(".bias") {
          .constant(0)
        } else {
          .normal(deviation: 0.04)
        }
      #expect(specification.initializer == expected, "\(name)")
      #expect(specification.decays == !(name.hasSuffix("bias") || name.contains("LayerNorm")), "\(name)")
      #expect(specification.learningRateScale == 1)
    }
  }

  /// Each name is asked for, and is trained as the answer says.
  @Test
  func trainability() {
    let list = Self.configuration.parameters { $0.hasSuffix("bias") }
    #expect(list.allSatisfy { $0.isTrainable == $0.name.hasSuffix("bias") })
  }

  @Test(arguments: [true, false])
  func queryKeyAndValueLieTogether(_ trained: Bool) {
    let table = ParameterTable(Self.configuration.parameters { _ in trained })
    for layer in 0..<3 {
      let name = "bert.encoder.layer.\(layer).attention.self"
      for (kind, count) in [("weight", 24 * 24), ("bias", 24)] {
        let places = ["query", "key", "value"].map { table["\(name).\($0).\(kind)"] }
        #expect(places[1].offset == places[0].offset + count && places[2].offset == places[1].offset + count)
      }
    }
  }
}
