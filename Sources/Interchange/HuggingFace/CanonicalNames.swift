/// The one name that each tensor of a BERT has here, whatever model class and library version wrote the file:
/// that of a head model of Transformers, such as `bert.embeddings.LayerNorm.weight` and `classifier.weight`.
enum CanonicalNames {
  /// The canonical name of a tensor, or nil for a buffer that is no weight.
  static func name(for name: String) -> String? {
    if name.hasSuffix("embeddings.position_ids") { return nil }
    var canonical = name
    // Checkpoints converted from TensorFlow call the two parts of a layer norm gamma and beta.
    for (old, new) in [("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")]
    where canonical.hasSuffix(old) {
      canonical = canonical.dropLast(old.count) + new
    }
    // A file of a bare BertModel lacks the prefix that head models have.
    let isBare = ["embeddings.", "encoder.", "pooler."].contains { canonical.hasPrefix($0) }
    return isBare ? "bert." + canonical : canonical
  }

  /// The tensors of an archive under their canonical names.
  ///
  /// The masked-LM decoder of a tied model is the word embedding and its bias is `cls.predictions.bias`:
  /// copies under `cls.predictions.decoder` are left out, as Transformers lets the other two win.
  /// - Parameters:
  ///   - archive: An archive with names as published.
  ///   - isTied: Whether the configuration ties the decoder to the embedding.
  /// - Returns: The archive with canonical names.
  /// - Throws: `Failure(.badContent)` when two tensors have the same canonical name.
  static func apply(to archive: TensorArchive, isTied: Bool) throws -> TensorArchive {
    let names = Set(archive.entries.compactMap { name(for: $0.name) })
    let hasEmbedding = names.contains("bert.embeddings.word_embeddings.weight")
    let hasBias = names.contains("cls.predictions.bias")
    return try archive.renaming { name in
      switch name {
      case "cls.predictions.decoder.weight" where isTied && hasEmbedding: nil
      case "cls.predictions.decoder.bias" where hasBias: isTied ? nil : name
      case "cls.predictions.decoder.bias" where isTied: "cls.predictions.bias"
      default: CanonicalNames.name(for: name)
      }
    }
  }
}
