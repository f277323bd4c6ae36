internal import BERT
internal import Datasets
internal import Tokenization

/// Hidden tokens of unlabelled texts, and sentences that follow each other.
struct MaskedLanguageObjective: Objective {
  private let run: TrainingConfiguration
  private let options: PretrainingOptions
  private let tokens: TokenMasking.Tokens

  /// - Throws: `Failure` when the vocabulary has no mask.
  init(_ run: TrainingConfiguration, _ options: PretrainingOptions, _ tokenizer: WordPieceTokenizer) throws {
    self.run = run
    self.options = options
    tokens = try TokenMasking.Tokens(tokenizer)
  }

  /// Other tokens are hidden in each epoch, and other sentences paired.
  func examples(_ dataset: Dataset, _ encoder: TextEncoder) throws -> TrainingExamples {
    let masking = TokenMasking(
      tokens, options.wholeWord ? .words : .tokens, probability: options.maskedShare, seed: run.seed)
    let encoded = try encoder(dataset)
    let pairs =
      try options.nextSentence
      ? SentencePairs(encoded, encoder.tokenizer, maxLength: encoder.maxLength, seed: run.seed, dataset.name) : nil
    let make = { (epoch: Int) in
      var data = pairs?.examples(epoch: epoch) ?? encoded
      data.masking = masking
      data.masking?.epoch = epoch
      return data
    }
    return TrainingExamples(make(0), make)
  }

  func heldOut(_ dataset: Dataset, _ encoder: TextEncoder) throws -> EncodedReviews {
    MaskedLanguageObjective.heldOut(try encoder(dataset), tokens)
  }

  /// Texts with the tokens hidden that held-out texts are measured on.
  static func heldOut(_ texts: EncodedReviews, _ tokens: TokenMasking.Tokens) -> EncodedReviews {
    var data = texts
    data.masking = TokenMasking(tokens, .heldOut, seed: 0)
    return data
  }

  func evaluate(
    _ data: EncodedReviews, split: String, _ evaluator: Evaluator, isCancelled: () -> Bool
  ) throws -> Evaluation? {
    try evaluator.evaluateMasked(data, name: split, isCancelled: isCancelled)
  }

  /// A whole model becomes a base, a language adapter a file of its own.
  func writeResult(_ model: ModelState, _ checkpoint: TrainingCheckpoint, _ inputs: RunInputs) throws {
    guard run.method == "full" else { return try checkpoint.writeModel(to: run.output + "/model.h5", model) }
    try BaseFile(
      configurationJSON: inputs.configurationJSON.naming(architecture: options.nextSentence ? .pairs : .tokens),
      vocabulary: inputs.tokenizer.vocabulary.bytes, tokenizerSettings: inputs.tokenizer.settings
    ).write(StoredParameters(model.store), to: run.output + "/base.h5", producer: producer)
  }
}

extension TokenMasking.Tokens {
  /// The tokens of a tokenizer.
  /// - Throws: `Failure` when its vocabulary has no mask.
  init(_ tokenizer: WordPieceTokenizer) throws {
    self.init(
      count: tokenizer.vocabulary.countOfNamed, mask: try tokenizer.requireMaskID(), special: tokenizer.specialIDs,
      isContinuation: tokenizer.vocabulary.isContinuation)
  }
}
