package import BERT
internal import Failures
package import FineTuning
internal import Interchange
package import Tensors

/// A trained method with its numbers, on its way to another library.
package struct OutgoingAdapter {
  /// The method.
  package let method: any FineTuningMethod
  /// The base's shape with the model's head and classes.
  package let configuration: BERTConfiguration
  /// The names of the classes, by their number.
  package let labels: [String]
  /// The base's name, for people; nil when it has none that means anything elsewhere.
  package let baseName: String?
  /// Tensors of the base that the trained file brings in a form of its own, such as a pooler that the base lacks;
  /// biases that the method trains are not among them.
  package let replaced: [String]
  /// Every parameter.
  package let store: ParameterStore

  /// A trained method.
  package init(
    _ method: any FineTuningMethod, _ configuration: BERTConfiguration, labels: [String], baseName: String?,
    replaced: [String], _ store: ParameterStore
  ) {
    self.method = method
    self.configuration = configuration
    self.labels = labels
    self.baseName = baseName
    self.replaced = replaced
    self.store = store
  }

  /// What the method added to the base.
  var added: [ParameterSpecification] {
    get throws { try method.addedParameters(configuration) }
  }

  /// Gives the numbers of tensors, by the name that each has here.
  func source(_ name: @escaping (String) -> String = { $0 }) -> TensorSource {
    { entry, values in _ = values.update(fromContentsOf: store.elements(name(entry.name))) }
  }

  /// The tensors of the head, under their names here; none of pre-training's, which is the base's.
  var headEntries: [TensorEntry] {
    store.table.entries.filter { HeadDesign.classifies($0.specification.name) }.map {
      TensorEntry(name: $0.specification.name, shape: $0.specification.shape)
    }
  }
}

/// A format of another library's folder of an adapter.
package protocol AdapterFormat: Sendable {
  /// What `--format` calls it.
  var name: String { get }
  /// Refuses what the format has no form for, before anything is written.
  /// - Throws: `Failure(.usage)` with a sentence that says what is in the way.
  func check(_ adapter: OutgoingAdapter) throws
  /// Writes a folder.
  /// - Parameters:
  ///   - adapter: What is written.
  ///   - path: A new or empty folder.
  /// - Returns: How many tensors it has, each counted once.
  /// - Throws: As `check`; `Failure(.cannotWrite)` when writing fails or the folder holds something.
  func write(_ adapter: OutgoingAdapter, to path: String) throws -> Int
}
