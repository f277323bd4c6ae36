internal import BERT
internal import Checkpoints
internal import Tokenization

/// What tells one base from another.
package struct BaseIdentity: Sendable, Equatable {
  /// SHA-256 over the names, shapes and numbers of its tensors; files have it as `base_sha256`.
  package let sha256: String
  /// SHA-256 over what else decides what it makes of a text; files have it as `base_form_sha256`. Nil in files that are
  /// older than that.
  package let form: String?

  /// What is not the same in another one, as far as both say; nil where nothing is.
  func difference(from other: BaseIdentity) -> String? {
    if sha256 != other.sha256 { return "the base" }
    if let form, let theirs = other.form, form != theirs { return "the base's vocabulary, tokenizer or config.json" }
    return nil
  }

  /// Writes it into a file.
  func write(to writer: borrowing TensorFileWriter) throws {
    try writer.setText("base_sha256", sha256)
    if let form { try writer.setText("base_form_sha256", form) }
  }
}

extension BaseIdentity {
  /// Both digests, for other ranks.
  var text: String { "\(sha256) \(form ?? "")" }

  /// What another rank's `text` says.
  init(text: String) {
    let digests = text.split(separator: " ").map(String.init)
    self.init(sha256: digests.first ?? "", form: digests.dropFirst().first)
  }

  /// The identity that a trained file names.
  /// - Throws: `Failure` where it names none.
  init(of file: borrowing TensorFile) throws {
    sha256 = try file.text("base_sha256")
    form = file.hasAttribute("base_form_sha256") ? try file.text("base_form_sha256") : nil
  }
}

extension Base {
  /// What tells it from others.
  package var identity: BaseIdentity {
    get throws {
      // Of the shape what no tensor shows. Dropout is a run's own choice.
      let c = configuration
      let shape = "\(c.attentionHeadCount) \(c.activation) \(c.layerNormEpsilon) \(c.tiesWordEmbeddings)\n"
      let form = try Array((shape + jsonText(tokenizerSettings) + "\n").utf8) + vocabulary
      return BaseIdentity(sha256: contentSHA256, form: Digest.hex(of: form))
    }
  }
}
