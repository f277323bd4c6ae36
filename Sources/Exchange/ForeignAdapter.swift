package import BERT
internal import Failures
package import FineTuning
internal import Interchange
internal import Tensors

/// An adapter that PEFT or AdapterHub's library wrote, as a method here: its options, and its numbers under the names
/// that the method gives them.
///
/// Opening it checks that files and configuration fit each other; ``check(against:)`` that they fit a base.
package struct ForeignAdapter: ParameterSource, Sendable {
  /// The folder.
  package let path: String
  /// What `--method` calls it.
  package let method: String
  /// The method's options, so that it computes what the library does.
  package let options: FineTuningOptions
  /// The head that the folder brings; nil when it brings none for classification.
  package let head: HeadDesign?
  /// The names of the head's classes, by their number; empty without a head.
  package let labels: [String]
  /// Sentences for a person: what was read in another sense than its words, and what was left out.
  package let notices: [String]
  /// The base that the folder names, such as `bert-base-multilingual-cased`.
  package let baseName: String?
  /// The names of its tensors here, in the order of the files.
  package let names: [String]

  private let tensors: [String: ForeignTensor]
  private let checkFiles: @Sendable (EncoderShape) throws -> Void

  /// Opens a folder with `adapter_config.json`, `adapter_fusion_config.json` or `adapter_setup.json`.
  /// - Parameters:
  ///   - path: The folder.
  ///   - name: What a single adapter of AdapterHub's library is called here; as in the file when nil.
  ///   - usesNestedNonLinearity: Whether an old invertible block takes the non-linearity that is nested in its
  ///     configuration, as the library of 2020 did; the current one takes the adapter's.
  /// - Throws: `Failure(.noInput)` when a file is missing; `Failure(.badContent)` when one is damaged, or asks for what
  ///   is not computed here; `Failure(.usage)` when the name makes no sense.
  package init(opening path: String, as name: String? = nil, usesNestedNonLinearity: Bool = false) throws {
    let found: Translation
    switch try AdapterFolderKind(at: path) {
    case .peft:
      guard name == nil else {
        throw Failure(
          .usage, "--name is for adapters of AdapterHub's library, and \(path) is one of PEFT; leave it out.")
      }
      found = try Translation(peft: PEFTFolder(opening: path))
    case .adapterHub:
      let options = AdapterHubAdapter.Options(name: name, usesNestedNonLinearity: usesNestedNonLinearity)
      found = try Translation(adapterHub: path, options)
    }
    self.path = path
    method = found.method
    options = found.options
    head = found.head?.design
    labels = found.head?.labels ?? []
    notices = found.notices
    baseName = found.baseName
    let list = found.tensors + (found.head?.tensors ?? [])
    names = list.map(\.name)
    tensors = Dictionary(list.map { ($0.name, $0) }) { first, _ in first }
    checkFiles = found.check
    _ = try blaming(path) { try FineTuningMethods.method(named: found.method, found.options) }
  }

  /// The shape of a tensor; nil when the adapter does not bring it.
  package func shape(_ name: String) -> [Int]? { tensors[name]?.shape }

  /// Reads a tensor.
  /// - Throws: `Failure(.badContent)` when there is none, of another shape, or the file is damaged.
  package func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    guard let tensor = tensors[name], tensor.shape == shape else {
      throw Failure(
        .badContent,
        "\(path) has \(tensors[name].map { "the tensor \(name) of shape \($0.shape)" } ?? "no tensor \(name)"), expected one of shape \(shape)."
      )
    }
    try tensor.archive.read(tensor.published, into: values)
  }
}

// MARK: Whether it fits a base

extension ForeignAdapter {
  /// The shape of a model with this adapter's head.
  /// - Parameter base: The base's own shape, with its own classes.
  /// - Returns: The shape with the adapter's head and classes, where it brings some.
  package func configuration(on base: BERTConfiguration) -> BERTConfiguration {
    var configuration = base
    if let head {
      configuration.head = head
      configuration.labelCount = labels.count
    }
    return configuration
  }

  /// Checks the adapter against the base that it is to be used on: sizes, and that it brings exactly the tensors that
  /// its configuration asks for there.
  /// - Throws: `Failure(.badContent)` with a sentence that names both sides.
  package func check(against base: BERTConfiguration) throws {
    try checkSizes(base)
    try checkFiles(EncoderShape(base))
    try blaming(path) {
      let configuration = configuration(on: base)
      let method = try FineTuningMethods.method(named: method, options)
      let added = try method.addedParameters(configuration)
      for parameter in added where shape(parameter.name) != parameter.shape {
        let found = shape(parameter.name).map { "has it in shape \($0)" } ?? "does not have it"
        throw Failure(
          .badContent, "on this base it needs the tensor \(parameter.name) in shape \(parameter.shape), but \(found).")
      }
      let known = Dictionary(
        (added + configuration.parameters { _ in false }).map { ($0.name, $0.shape) }
      ) { first, _ in first }
      if let extra = names.first(where: { known[$0] != shape($0) }) {
        throw Failure(
          .badContent,
          "the tensor \(extra) has shape \(shape(extra) ?? []), but this base has \(known[extra].map { "it in shape \($0)" } ?? "no place for it")."
        )
      }
    }
  }

  private func checkSizes(_ base: BERTConfiguration) throws {
    let trainedOn = baseName.map { " (\($0))" } ?? ""
    if let size = hiddenSize, size != base.hiddenSize {
      throw Failure(
        .badContent,
        "\(path) was trained on a base of hidden size \(size)\(trainedOn), but this base has \(base.hiddenSize); pass the base that it was trained on."
      )
    }
    if let layer = names.compactMap({ PublishedName.layer(in: $0)?.number }).max(), layer >= base.layerCount {
      throw Failure(
        .badContent,
        "\(path) has tensors of layer \(layer), counted from 0\(trainedOn), but this base has \(base.layerCount) layers; pass the base that it was trained on."
      )
    }
  }

  /// The width that the tensors show, of those that show one.
  private var hiddenSize: Int? {
    let clues = [
      (".attention.self.query.lora_A.weight", 1), (".attention.self.key.lora_A.weight", 1),
      (".attention.self.value.lora_A.weight", 1), (".intermediate.dense.lora_A.weight", 1),
      (".output.dense.lora_B.weight", 0), (".pooler.dense.lora_A.weight", 1), (".lora_embedding_B", 0),
      (".adapter_up.weight", 0), (".attention.self.key.ia3_l", 0), ("self_prefix.wte.weight", 1),
      ("classifier.weight", 1),
    ]
    for (suffix, axis) in clues {
      if let name = names.first(where: { $0.hasSuffix(suffix) }) { return shape(name)?[axis] }
    }
    return nil
  }
}

extension EncoderShape {
  /// The sizes of a base.
  init(_ base: BERTConfiguration) {
    self.init(
      hiddenSize: base.hiddenSize, intermediateSize: base.intermediateSize, layerCount: base.layerCount,
      vocabularySize: base.vocabularySize, positionCount: base.positionCount, segmentCount: base.typeCount)
  }
}

/// Runs a closure whose refusals, written for a person's options, are about the content of a file here.
func blaming<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let failure as Failure {
    throw Failure(.badContent, "\(path): \(failure.message)")
  }
}
