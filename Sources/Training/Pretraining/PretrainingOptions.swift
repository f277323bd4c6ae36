internal import BERT
internal import Datasets
internal import Failures
internal import FineTuning
internal import FoundationEssentials
internal import Tokenization

/// What pre-training has to be told beside what every run is told.
package struct PretrainingOptions: Codable, Sendable, Equatable {
  /// The size of a model that starts at random.
  package struct Shape: Codable, Sendable, Equatable {
    /// How many encoder layers.
    package var layers: Int
    /// The width of an activation.
    package var hidden: Int
    /// How many attention heads a layer has.
    package var heads: Int
    /// The width of the feed-forward block.
    package var intermediate: Int
    /// How many positions there are.
    package var positions: Int

    /// Reads `layers,hidden,heads,intermediate`.
    /// - Returns: Nil when that is not four numbers from 1 on.
    package init?(_ text: String, positions: Int) {
      let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      let numbers = parts.compactMap { $0 }.filter { (1...1 << 24).contains($0) }
      guard parts.count == 4, numbers.count == 4 else { return nil }
      (layers, hidden, heads, intermediate) = (numbers[0], numbers[1], numbers[2], numbers[3])
      self.positions = positions
    }
  }

  /// Whether words are hidden whole.
  package var wholeWord = false
  /// Whether the model also learns which sentences follow each other.
  package var nextSentence = false
  /// How large a share of the tokens is hidden.
  package var maskedShare = 0.15
  /// The most positions of a batch of texts of like length, a step; nil where a batch is a number of texts.
  package var batchTokens: Int?
  /// The size of a model that starts at random; nil for a base.
  package var shape: Shape?
  /// Whether such a model's tokenizer lower-cases.
  package var lowercase = false
  /// How many held-out texts are looked at, from the first on; all when nil.
  package var heldOutLimit: Int?
  /// What a new language adapter is called.
  package var adapterName = PretrainingOptions.defaultAdapterName

  /// What a new language adapter is called unless a person says otherwise.
  package static let defaultAdapterName = "language"

  /// The defaults.
  package init() {}

  private enum CodingKeys: String, CodingKey {
    case wholeWord = "whole_word", nextSentence = "next_sentence", maskedShare = "masked_share", shape
    case batchTokens = "batch_tokens"
    case lowercase, heldOutLimit = "held_out_limit", adapterName = "adapter_name"
  }

  /// What the model is trained for.
  var task: ModelTask { .maskedLanguage(nextSentence: nextSentence) }

  /// Refuses what makes no sense.
  /// - Throws: `Failure` of kind `usage` that names the option.
  func validate(_ run: TrainingConfiguration) throws {
    guard maskedShare > 0, maskedShare < 1 else {
      throw Failure(.usage, "--masked-share is \(maskedShare), expected a number between 0 and 1, such as 0.15.")
    }
    if let heldOutLimit, heldOutLimit < 1 {
      throw Failure(.usage, "--held-out-limit is \(heldOutLimit), expected a whole number from 1 on.")
    }
    if let batchTokens {
      guard (1...1_000_000_000).contains(batchTokens) else {
        throw Failure(
          .usage, "--batch-tokens is \(batchTokens), expected a whole number from 1 to 1000000000, such as 4096.")
      }
      guard run.accumulationSteps == 1 else {
        throw Failure(
          .usage,
          "--batch-tokens makes a step of one batch, whatever its size; leave out --accumulation-steps and raise it.")
      }
      guard !nextSentence else {
        throw Failure(
          .usage, "--batch-tokens needs texts that are as long in every epoch, not pairs; leave out --next-sentence.")
      }
    }
    guard run.trainFile != nil else {
      throw Failure(.usage, "pretrain needs --train-file: a text file, one text a line.")
    }
    guard run.method == "full" || run.method == "adapter" else {
      throw Failure(
        .usage, "--method is \(run.method), expected full, for a base, or adapter, for a language adapter.")
    }
    if let shape {
      guard run.base == nil else {
        throw Failure(.usage, "--shape starts a model of its own, and --base goes on with one; choose one of them.")
      }
      guard run.vocabulary != nil else {
        throw Failure(.usage, "--shape needs --vocabulary: a vocab.txt, such as bert-ddp vocabulary writes.")
      }
      guard shape.hidden % shape.heads == 0 else {
        throw Failure(
          .usage, "--shape has a hidden size of \(shape.hidden), expected a multiple of its \(shape.heads) heads.")
      }
      guard run.method == "full" else {
        throw Failure(.usage, "--method adapter trains on a frozen base; name one with --base.")
      }
    } else if run.base == nil {
      throw Failure(
        .usage, "pretrain needs --base, or --shape layers,hidden,heads,intermediate with --vocabulary.")
    } else if run.vocabulary != nil || lowercase {
      throw Failure(
        .usage, "a base has its own vocabulary; leave out --\(run.vocabulary != nil ? "vocabulary" : "lowercase").")
    }
  }
}

extension PretrainingOptions {
  /// The texts trained on and those held out.
  /// - Throws: `Failure` when a file is missing or damaged.
  func datasets(
    _ run: TrainingConfiguration, _ trainFile: String
  ) throws -> (training: Dataset, validation: Dataset?, test: Dataset?) {
    let read = { (path: String) in
      let texts = try Dataset.unlabelled(path: path, columns: run.columns)
      guard texts.count > 0 else { throw Failure(.badContent, "\(path) has no texts; expected one a line.") }
      return texts
    }
    var training = try read(trainFile)
    if let limit = run.trainLimit {
      // Which sentence follows another can be told of whole documents only.
      training =
        nextSentence
        ? training.selecting(Array(0..<min(limit, training.count))) : training.limited(to: limit, seed: run.seed)
    }
    let heldOut = try run.testFile.map { path in
      let texts = try read(path)
      return heldOutLimit.map { texts.selecting(Array(0..<min($0, texts.count))) } ?? texts
    }
    return (training, nil, heldOut)
  }
}

extension TrainingConfiguration {
  /// - Parameters:
  ///   - tokenizer: How texts become tokens.
  ///   - isInTraining: Which test reviews have a text that also occurs in training.
  /// - Returns: What the run trains for.
  /// - Throws: `Failure` when the vocabulary cannot be used for that.
  func objective(_ tokenizer: WordPieceTokenizer, isInTraining: [Bool]) throws -> any Objective {
    guard let pretraining else { return Classification(isInTraining: isInTraining, output: output) }
    return try MaskedLanguageObjective(self, pretraining, tokenizer)
  }
}

extension TrainingConfiguration {
  /// What pre-training does unless a person says otherwise, and its language adapter under its own name.
  /// - Throws: `Failure` when the adapter's options make no sense.
  package mutating func usePretrainingDefaults() throws {
    guard let pretraining else { return }
    (epochs, globalBatchSize, weightDecay) = (1, 256, 0.01)
    (adamBeta2, adamEpsilon) = (0.98, 1e-6)
    // From scratch large steps; a model that knows its language bears smaller ones.
    learningRate = pretraining.shape == nil ? 1e-4 : 1e-3
    guard method == "adapter" else { return }
    learningRate = 1e-3
    let name = pretraining.adapterName
    methodOptions.adapters = try AdapterSetup([name: methodOptions.adapter()], .single(name))
    methodOptions.trainedAdapters = [name]
  }
}
