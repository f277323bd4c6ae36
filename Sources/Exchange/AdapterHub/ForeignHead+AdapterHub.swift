internal import BERT
internal import Failures
internal import Interchange

extension ForeignHead {
  /// A head of AdapterHub's library; nil for one that is not for classification.
  /// - Parameters:
  ///   - other: The head.
  ///   - path: The folder, for messages.
  ///   - notices: Gets a sentence about a head that is left out.
  /// - Throws: `Failure(.badContent)` when it classifies in a way that is not computed here.
  init?(_ other: AdapterHubHead, in path: String, _ notices: inout [String]) throws {
    let name = other.configuration.name ?? ""
    let tensors = other.tensors.entries.map { ForeignTensor($0, in: other.tensors) }
    switch other.configuration.kind {
    case .other(let kind):
      notices.append("\(path): the head \(kind) is not for classification and is left out")
      return nil
    case .classifier:
      design = .pooled
      self.tensors = tensors
    case .flexible(let head) where head.layerCount == 2 && head.activation == "tanh" && !head.usesPooler:
      guard !name.contains(where: { "./".contains($0) }) else {
        throw Failure(.badContent, "\(path): the head's name \"\(name)\" has a dot or a slash; rename it.")
      }
      design = .flexible(name)
      self.tensors = tensors
    case .flexible(let head) where head.layerCount == 1 && head.usesPooler:
      // The same as BERT's own, under another name.
      design = .pooled
      self.tensors = other.tensors.entries.map {
        ForeignTensor($0, in: other.tensors, as: "classifier" + $0.name.dropFirst("heads.\(name).1".count))
      }
    case .flexible(let head):
      throw Failure(
        .badContent,
        "\(path): the head \(name) has \(head.layerCount) layers with \(head.activation) on the \(head.usesPooler ? "pooled output" : "first token"); expected two with tanh on the first token, or one on the pooled output."
      )
    }
    labels = other.configuration.labels
    try requireClasses(labels.count, path)
  }
}
