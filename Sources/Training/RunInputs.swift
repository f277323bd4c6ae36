package import BERT
internal import Checkpoints
package import Collectives
package import Datasets
internal import Demo
internal import Failures
internal import FoundationEssentials
package import Tensors
package import Tokenization

/// What a run reads: the base and the data, the same on every rank, checked before anything is trained.
package struct RunInputs {
  /// The base, on ranks that lead a node; nil on others.
  package let base: Base?
  /// The shape, with the run's number of classes and dropout.
  package let configuration: BERTConfiguration
  /// The base's `config.json`.
  let configurationJSON: Data
  /// The names of the base's tensors.
  package let tensorNames: Set<String>
  /// The identity of the base.
  package let baseIdentity: BaseIdentity
  /// What the model builds on beside the base, on ranks that lead a node.
  let adapters: [any ParameterSource]
  /// What a person should know of the adapters.
  let notices: [String]
  /// How texts become tokens.
  package let tokenizer: WordPieceTokenizer
  /// The reviews trained on.
  package let training: Dataset
  /// Evaluated after each epoch, when there are any.
  package let validation: Dataset?
  /// What the result is measured on, when there is any.
  package let test: Dataset?
  /// The identity of the training reviews.
  package let dataSHA256: String
  /// The identity of the validation reviews; nil when there are none.
  let validationSHA256: String?
  /// Whether the default of the longest review is more than the base has positions, so that these are the longest.
  package let isShortened: Bool

  /// Reads everything that a configuration names.
  /// - Parameters:
  ///   - run: What is read; gets what only the files say.
  ///   - communicator: All ranks.
  /// - Throws: The same `Failure` on all ranks when anything is missing or wrong on any of them.
  init(_ run: inout TrainingConfiguration, _ communicator: Communicator) throws {
    let shared = try SharedBase(run, communicator)
    let sources = try AdapterSources(&run, shared, communicator)
    (adapters, notices) = (sources.parameters, sources.notices)
    let positions = shared.configuration.positionCount
    isShortened = !run.asksForMaxLength && run.maxLength > positions && positions >= 3
    if isShortened { run.maxLength = positions }
    let run = run
    base = shared.base
    tensorNames = shared.tensorNames
    baseIdentity = shared.identity
    tokenizer = shared.tokenizer
    configurationJSON = shared.configurationJSON
    configuration = try shared.configuration(run)
    (training, validation, test) = try communicator.collectively { try RunInputs.datasets(run) }
    let training = training
    dataSHA256 = Digest.hex { training.hashContent($0) }
    validationSHA256 = validation.map { reviews in Digest.hex { reviews.hashContent($0) } }
  }

  /// The reviews that a configuration names.
  /// - Throws: `Failure` when a file is missing or wrong.
  package static func datasets(
    _ run: TrainingConfiguration
  ) throws -> (training: Dataset, validation: Dataset?, test: Dataset?) {
    var data = try files(of: run)
    // Before the limit: the same reviews are held out whatever the limit.
    if let fraction = run.validationFraction {
      let split = data.training.split(validationFraction: fraction, seed: run.seed)
      (data.training, data.validation) = (split.training, split.validation)
    }
    if let limit = run.trainLimit { data.training = data.training.limited(to: limit, seed: run.seed) }
    return data
  }

  private static func files(
    of run: TrainingConfiguration
  ) throws -> (training: Dataset, validation: Dataset?, test: Dataset?) {
    guard let trainFile = run.trainFile else { return EmbeddedDemo.datasets(seed: 1) }
    if let pretraining = run.pretraining { return try pretraining.datasets(run, trainFile) }
    let read = { (path: String, option: String) in
      try Dataset.labelled(path: path, columns: run.columns, classCount: run.labelCount, option: option)
    }
    return (
      try read(trainFile, "--train-file"), try run.validationFile.map { try read($0, "--validation-file") },
      try run.testFile.map { try read($0, "--test-file") }
    )
  }
}

extension BERTConfiguration {
  /// Refuses pairs of texts where there is one type of tokens.
  /// - Throws: `Failure` of kind `usage`.
  package func requirePairs(_ hasPairs: Bool) throws {
    guard !hasPairs || typeCount >= 2 else {
      throw Failure(
        .usage, "the base has one type of tokens (type_vocab_size 1), and pairs of texts need two; use another base.")
    }
  }

  /// Refuses reviews that may be longer than there are positions.
  /// - Throws: `Failure` of kind `usage`.
  package func require(maxLength: Int) throws {
    guard maxLength <= positionCount else {
      throw Failure(
        .usage,
        "--max-length is \(maxLength), but the base has \(positionCount) positions; choose \(positionCount) or less.")
    }
  }
}

/// A base as every rank knows it: leaders of a node hold the file, all have its shape and its tokenizer.
package struct SharedBase {
  /// The base, on ranks that lead a node; nil on others.
  package let base: Base?
  /// The base's own shape.
  package let configuration: BERTConfiguration
  /// The names of its tensors.
  package let tensorNames: Set<String>
  /// What tells it from others.
  package let identity: BaseIdentity
  /// How texts become tokens.
  package let tokenizer: WordPieceTokenizer
  /// Its `config.json`.
  let configurationJSON: Data

  /// Opens a base on one rank a node and tells all ranks what it is.
  /// - Parameters:
  ///   - path: An HDF5 base or a Hugging Face directory; nil for the demo's.
  ///   - communicator: All ranks.
  /// - Throws: The same `Failure` on all ranks.
  package init(_ path: String?, _ communicator: Communicator) throws {
    try self.init(named: path ?? "the embedded demo", communicator) {
      try path.map { try Base(opening: $0) } ?? EmbeddedDemo.base()
    }
  }

  /// The base of a run: a file, the demo's, or one that starts at random.
  /// - Throws: The same `Failure` on all ranks.
  init(_ run: TrainingConfiguration, _ communicator: Communicator) throws {
    guard let options = run.pretraining, let shape = options.shape, let vocabulary = run.vocabulary else {
      try self.init(run.base, communicator)
      return
    }
    try self.init(named: vocabulary, communicator) {
      try Base(shape, vocabulary: vocabulary, lowercase: options.lowercase)
    }
  }

  private init(named name: String, _ communicator: Communicator, _ open: () throws -> Base) throws {
    base = try communicator.collectively(where: communicator.localRank == 0) { try open() }
    let base = base
    func share(_ bytes: @autoclosure () throws -> [UInt8]) throws -> [UInt8] {
      try communicator.shared(from: 0, bytes)
    }
    configurationJSON = Data(try share(Array(base?.configurationJSON ?? Data())))
    configuration = try BERTConfiguration(json: configurationJSON, source: name + ", configuration")
    let shape = configuration
    let vocabulary = try share(base?.vocabulary ?? [])
    let settings = try share(Array(jsonText(base?.tokenizerSettings ?? TokenizerSettings()).utf8))
    let names = try share(Array((base?.tensorNames ?? []).joined(separator: "\n").utf8))
    tensorNames = Set(String(decoding: names, as: UTF8.self).split(separator: "\n").map(String.init))
    let own = try share(Array(base.map { try $0.identity.text }?.utf8 ?? "".utf8))
    identity = BaseIdentity(text: String(decoding: own, as: UTF8.self))
    tokenizer = try communicator.collectively {
      try WordPieceTokenizer(
        vocabulary, JSONDecoder().decode(TokenizerSettings.self, from: Data(settings)), ofBase: name, shape)
    }
  }

  /// The shape with a run's own choices.
  /// - Throws: `Failure` when reviews may be longer than the base has positions.
  func configuration(_ run: TrainingConfiguration) throws -> BERTConfiguration {
    var own = try configuration(
      labelCount: run.labelCount, dropout: run.dropout, maxLength: run.maxLength, head: run.head,
      precision: run.precision)
    if let options = run.pretraining { own.task = options.task }
    try own.requirePairs(run.textPairColumn != nil || own.task == .maskedLanguage(nextSentence: true))
    guard own.task == .classification || own.tiesWordEmbeddings else {
      throw Failure(
        .usage,
        "the base has tie_word_embeddings false, a decoder of its own, and hidden tokens are decoded with the table of embeddings here; use another base."
      )
    }
    return own
  }

  /// The shape with a run's own choices.
  /// - Parameters:
  ///   - labelCount: How many classes.
  ///   - dropout: Overrides the base's dropout probabilities.
  ///   - maxLength: The longest review.
  ///   - head: The name of a flexible head; nil for BERT's own.
  ///   - precision: What products are computed in.
  /// - Returns: The shape.
  /// - Throws: `Failure` when reviews may be longer than the base has positions.
  package func configuration(
    labelCount: Int, dropout: Float?, maxLength: Int, head: String? = nil, precision: Precision = .fp32
  ) throws -> BERTConfiguration {
    try configuration.require(maxLength: maxLength)
    var own = configuration
    own.labelCount = labelCount
    own.precision = precision
    if let head { own.head = .flexible(head) }
    if let dropout {
      own.hiddenDropout = dropout
      own.attentionDropout = dropout
      own.classifierDropout = dropout
    }
    return own
  }
}
