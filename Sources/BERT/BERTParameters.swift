package import Tensors

extension BERTConfiguration {
  /// Every parameter of the model under its published name, in the order of the blocks.
  ///
  /// A layer's query, key and value lie one after another, weights and biases each, so that the three are one product.
  /// The encoder's matrices and the token embeddings have the configuration's precision.
  /// - Parameter isTrainable: Which of them are trained, by name.
  /// - Returns: Names, shapes and initial values.
  package func parameters(isTrainable: (String) -> Bool) -> [ParameterSpecification] {
    var list: [ParameterSpecification] = []
    func add(
      _ name: String, _ shape: [Int], _ initializer: Initializer, isLookedUp: Bool = false, isRounded: Bool = false,
      isUsed: Bool = true, keepsTranspose: Bool = false
    ) {
      var specification = ParameterSpecification(
        name, shape, initializer, isTrainable: isUsed && isTrainable(name), isLookedUp: isLookedUp)
      // A table that is trained is read in its floats, which are there anyway.
      if isRounded, !(isLookedUp && specification.isTrainable) { specification.precision = precision }
      specification.keepsTranspose = keepsTranspose
      list.append(specification)
    }
    let weights = Initializer.normal(deviation: initializerRange)
    func addNorm(_ name: String) {
      add(name + ".LayerNorm.weight", [hiddenSize], .constant(1))
      add(name + ".LayerNorm.bias", [hiddenSize], .constant(0))
    }
    func addLinear(_ name: String, _ out: Int, _ input: Int, isRounded: Bool = true, keepsTranspose: Bool = false) {
      add(name + ".weight", [out, input], weights, isRounded: isRounded, keepsTranspose: keepsTranspose)
      add(name + ".bias", [out], .constant(0))
    }
    let h = hiddenSize
    let embeddings = "bert.embeddings"
    add(
      "\(embeddings).word_embeddings.weight", [vocabularySize, h],
      .normal(deviation: initializerRange, zeroRow: padTokenID), isLookedUp: !task.decodesByEmbeddings,
      // A decoder reads all of its numbers as they are.
      isRounded: !task.decodesByEmbeddings)
    add("\(embeddings).position_embeddings.weight", [positionCount, h], weights)
    add("\(embeddings).token_type_embeddings.weight", [typeCount, h], weights)
    addNorm(embeddings)
    for layer in 0..<layerCount {
      let prefix = "bert.encoder.layer.\(layer)"
      let projections = ["query", "key", "value"].map { "\(prefix).attention.self.\($0)" }
      for name in projections { add(name + ".weight", [h, h], weights, isRounded: true, keepsTranspose: true) }
      for name in projections { add(name + ".bias", [h], .constant(0)) }
      // Of floats those have a transposed copy that gain most from it; in bfloat16 all, which takes less.
      let isRounded = precision == .bf16
      addLinear("\(prefix).attention.output.dense", h, h, keepsTranspose: isRounded)
      addNorm("\(prefix).attention.output")
      addLinear("\(prefix).intermediate.dense", intermediateSize, h, keepsTranspose: isRounded)
      addLinear("\(prefix).output.dense", h, intermediateSize, keepsTranspose: true)
      addNorm("\(prefix).output")
    }
    // One row a review, or a hidden token: nothing to gain from rounding.
    switch task {
    case .classification:
      addLinear(head.dense, h, h, isRounded: false)
      addLinear(head.classifier, labelCount, h, isRounded: false)
    case .maskedLanguage(let nextSentence):
      let (pooler, transform) = (HeadDesign.nextSentence.dense, MaskedLanguageHead.transform)
      if nextSentence {
        addLinear(pooler, h, h, isRounded: false)
        addLinear(HeadDesign.nextSentence.classifier, 2, h, isRounded: false)
      } else {
        // Nothing reads it, but every base has one: it leaves `[CLS]` as it is.
        add(pooler + ".weight", [h, h], .diagonal(1, elsewhere: 0), isUsed: false)
        add(pooler + ".bias", [h], .constant(0), isUsed: false)
      }
      addLinear(transform + ".dense", h, h, isRounded: false)
      addNorm(transform)
      add(MaskedLanguageHead.bias, [vocabularySize], .constant(0))
    }
    return list
  }
}
