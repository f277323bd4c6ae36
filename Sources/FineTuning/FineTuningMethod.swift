package import BERT
package import Tensors

/// A way to fine-tune a base: which of its parameters are trained, what is added to it, and where.
///
/// A method is a configuration (its stored properties), a branch for the sites of the model that it changes, and a test.
/// It is registered in `FineTuningMethods`.
package protocol FineTuningMethod: Sendable {
  /// What `--method` calls it.
  var name: String { get }
  /// The learning rate that works for it when none is asked for.
  var defaultLearningRate: Double { get }
  /// Its own options, resolved, for the configuration that is printed and stored.
  var settings: [String: String] { get }
  /// Whether a parameter of the base or of the head is trained; the head alone when left out.
  func trains(_ name: String) -> Bool
  /// The parameters that it adds to a base.
  /// - Throws: `Failure` when its options do not fit the base.
  func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification]
  /// Puts its branches at the sites of a model whose table has the added parameters.
  func attach(to model: any TaskModel, _ table: ParameterTable)
  /// Gives values to added parameters whose start depends on the base's numbers.
  /// - Parameters:
  ///   - names: The parameters that no file brought; they have what their initialisers say.
  ///   - store: Both blocks, with everything else as it will be when training starts.
  func completeInitialization(of names: Set<String>, in store: ParameterStore)
  /// Folds what it added at a weight of the base into the weight, in `Double`, rounding once.
  ///
  /// A method whose branches cannot be folded into weights keeps them instead (`canMerge`).
  /// - Parameters:
  ///   - base: The weight, changed in place.
  ///   - added: A store that has the method's added parameters.
  func fold(into base: BaseWeight, _ added: ParameterStore)
  /// Whether the trained model can be written as a plain BERT.
  var canMerge: Bool { get }
  /// Adds the gradient of a term that is no review's own: once to each step's sum, before it is divided and clipped.
  ///
  /// Rank 0 alone is asked, before the step's first pass; with `--deterministic` every rank is, when all gradients are
  /// summed. So it must not look at what `gradients` holds.
  /// - Parameters:
  ///   - gradients: What to add to, in the layout of the trainable block.
  ///   - parameters: The parameters before the step.
  ///   - reviewCount: How many reviews the step has: what the term's own gradient has to be multiplied by.
  ///   - step: How many steps were done before.
  func addRegularizationGradient(
    to gradients: UnsafeMutablePointer<Float>, of parameters: ParameterStore, reviewCount: Int, step: Int)
}

/// A matrix of the base and its bias, for a method to fold its update into.
package struct BaseWeight {
  /// The published module name, such as `bert.encoder.layer.0.attention.self.query`.
  package let name: String
  /// `[out, in]`; `[ids, H]` for a table of embeddings.
  package let weight: Matrix
  /// `[1, out]`; nil for a table of embeddings.
  package let bias: Matrix?

  /// A weight in memory that somebody else owns.
  package init(name: String, weight: Matrix, bias: Matrix?) {
    self.name = name
    self.weight = weight
    self.bias = bias
  }
}

extension FineTuningMethod {
  /// The head, unless a method says otherwise.
  package func trains(_ name: String) -> Bool { HeadDesign.owns(name) }
  /// Nothing is added unless a method says so.
  package func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification] { [] }
  /// Nothing is attached unless a method says so.
  package func attach(to model: any TaskModel, _ table: ParameterTable) {}
  /// Nothing is folded in unless a method says so.
  package func fold(into base: BaseWeight, _ added: ParameterStore) {}
  /// Initialisers say it all unless a method says more.
  package func completeInitialization(of names: Set<String>, in store: ParameterStore) {}
  /// A method without branches is a plain BERT already.
  package var canMerge: Bool { true }
  /// No such term unless a method has one.
  package func addRegularizationGradient(
    to gradients: UnsafeMutablePointer<Float>, of parameters: ParameterStore, reviewCount: Int, step: Int
  ) {}
  /// No options unless a method has some.
  package var settings: [String: String] { [:] }

  /// Both blocks for a base: the base's own parameters, then the method's, then the head.
  /// - Throws: `Failure` when the method's options do not fit the base.
  package func table(for configuration: BERTConfiguration) throws -> ParameterTable {
    let base = configuration.parameters(isTrainable: trains)
    let isHead = { (specification: ParameterSpecification) in HeadDesign.owns(specification.name) }
    return ParameterTable(
      base.filter { !isHead($0) } + (try addedParameters(configuration)) + base.filter(isHead))
  }

  /// A classifier with the method's branches in place.
  package func model(_ configuration: BERTConfiguration, _ table: ParameterTable) -> SequenceClassifier {
    attached(to: SequenceClassifier(configuration, table), table)
  }

  /// The model of the configuration's task with the method's branches in place.
  package func taskModel(_ configuration: BERTConfiguration, _ table: ParameterTable) -> any TaskModel {
    switch configuration.task {
    case .classification: model(configuration, table)
    case .maskedLanguage: attached(to: MaskedLanguageModel(configuration, table), table)
    }
  }

  /// A model when the method's branches are in place.
  package func attached<Model: TaskModel>(to model: Model, _ table: ParameterTable) -> Model {
    attach(to: model, table)
    model.branchesWereAttached()
    return model
  }
}
