/// The sizes of a BERT encoder, which say what its modules and weights are called and how large they are.
package struct EncoderShape: Equatable, Sendable {
  /// Width of the hidden states.
  package var hiddenSize: Int
  /// Width of the feed-forward block.
  package var intermediateSize: Int
  /// Number of layers.
  package var layerCount: Int
  /// Rows of the word embedding.
  package var vocabularySize: Int
  /// Rows of the position embedding.
  package var positionCount: Int
  /// Rows of the segment embedding.
  package var segmentCount: Int

  /// The sizes of an encoder.
  package init(
    hiddenSize: Int, intermediateSize: Int, layerCount: Int, vocabularySize: Int, positionCount: Int = 512,
    segmentCount: Int = 2
  ) {
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.vocabularySize = vocabularySize
    self.positionCount = positionCount
    self.segmentCount = segmentCount
  }

  /// A module with a weight matrix.
  package struct Module: Equatable, Sendable {
    /// Its full name, such as `bert.encoder.layer.0.attention.self.query`.
    package let name: String
    /// Whether it looks up rows instead of multiplying.
    package let isEmbedding: Bool
    /// Width of the input; the number of rows of an embedding.
    package let inputSize: Int
    /// Width of the output.
    package let outputSize: Int
  }

  /// The projections of one layer: the name inside the layer, input and output width.
  func projections(ofLayer layer: Int) -> [Module] {
    let (h, f) = (hiddenSize, intermediateSize)
    let sizes = [
      ("attention.self.query", h, h), ("attention.self.key", h, h), ("attention.self.value", h, h),
      ("attention.output.dense", h, h), ("intermediate.dense", h, f), ("output.dense", f, h),
    ]
    return sizes.map {
      Module(
        name: "bert.encoder.layer.\(layer).\($0.0)", isEmbedding: false, inputSize: $0.1, outputSize: $0.2)
    }
  }

  /// Embeddings, projections of all layers and the pooler, in the order of the model.
  package var modules: [Module] {
    func embedding(_ name: String, _ rows: Int) -> Module {
      Module(name: "bert.embeddings.\(name)", isEmbedding: true, inputSize: rows, outputSize: hiddenSize)
    }
    let embeddings = [
      embedding("word_embeddings", vocabularySize), embedding("position_embeddings", positionCount),
      embedding("token_type_embeddings", segmentCount),
    ]
    let pooler = Module(
      name: "bert.pooler.dense", isEmbedding: false, inputSize: hiddenSize, outputSize: hiddenSize)
    return embeddings + (0..<layerCount).flatMap(projections) + [pooler]
  }

  /// Every weight of the encoder under its published name.
  package var parameters: [TensorEntry] {
    var entries: [TensorEntry] = []
    for module in modules {
      let shape =
        module.isEmbedding
        ? [module.inputSize, module.outputSize] : [module.outputSize, module.inputSize]
      entries.append(TensorEntry(name: module.name + ".weight", shape: shape))
      if !module.isEmbedding {
        entries.append(TensorEntry(name: module.name + ".bias", shape: [module.outputSize]))
      }
    }
    let norms =
      ["bert.embeddings.LayerNorm"]
      + (0..<layerCount).flatMap { layer in
        ["attention.output.LayerNorm", "output.LayerNorm"].map { "bert.encoder.layer.\(layer).\($0)" }
      }
    for norm in norms {
      entries.append(TensorEntry(name: norm + ".weight", shape: [hiddenSize]))
      entries.append(TensorEntry(name: norm + ".bias", shape: [hiddenSize]))
    }
    return entries
  }

  /// The index of the layer that a name belongs to; nil for names outside the layers.
  static func layer(of name: String) -> Int? {
    let prefix = "bert.encoder.layer."
    guard name.hasPrefix(prefix) else { return nil }
    let digits = name.dropFirst(prefix.count).prefix { $0 != "." }
    guard let layer = Int(digits), layer >= 0, layer < maximumLayerCount, String(layer) == digits else {
      return nil
    }
    return layer
  }

  /// Most layers that a file may name; a forged index must not become a large allocation.
  static let maximumLayerCount = 128
}
