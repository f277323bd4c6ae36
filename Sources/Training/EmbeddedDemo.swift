internal import BERT
internal import Datasets
internal import Demo
internal import Failures
internal import FineTuning
internal import FoundationEssentials
internal import Tokenization

/// The demo that runs when neither base nor data are named: generated reviews, and a tiny BERT that was pre-trained on
/// texts by the same grammar. Where its file is missing the model starts at random.
package enum EmbeddedDemo {
  /// How many reviews it trains on, how many it tests on, and how many texts its base has read.
  package static let (trainCount, testCount, textCount) = (8000, 1000, 30_000)

  /// What training a method on the demo takes.
  private struct Recipe {
    let epochs: Int
    let learningRate: Double
  }

  private static func recipe(_ method: String) -> Recipe {
    switch (method, baseFile == nil) {
    case ("full", false): Recipe(epochs: 3, learningRate: 1e-3)
    case (_, false): Recipe(epochs: 12, learningRate: 1e-3)
    case ("full", true): Recipe(epochs: 6, learningRate: 1e-3)
    case (_, true): Recipe(epochs: 6, learningRate: 5e-3)
    }
  }

  /// The options of the demo, where the person asked for nothing else: a tiny model takes larger steps, and all of its
  /// numbers.
  package static func adjust(_ run: inout TrainingConfiguration) {
    let recipe = recipe(run.method)
    run.maxLength = 48
    run.epochs = recipe.epochs
    run.learningRate = run.learningRate ?? recipe.learningRate
    run.dropout = run.dropout ?? 0
  }

  /// One of the runs that the demo compares: LoRA has a fair chance on so small a model when every map is updated.
  package static func adjustComparison(_ run: inout TrainingConfiguration) {
    guard run.method == "lora" else { return }
    (run.methodOptions.loraTargets, run.methodOptions.loraDropout) = (["all-linear"], 0)
  }

  /// What a person adds to the command line to go on with one of the runs that the demo compares, alone.
  package static func resumeAdvice(_ run: TrainingConfiguration) -> String {
    let own = run.method == "lora" ? "--lora-targets all-linear --lora-dropout 0 " : ""
    return "--method \(run.method) \(own)--output \(run.output) --resume auto"
  }

  /// The methods that the demo compares when it is asked for none.
  package static let methods = ["full", "lora"]

  /// The file of the demo's base: in `checkpoints` beside the program's file or above it, as a build lies in a clone; or
  /// in `share/bert-ddp` beside the folder of an installed program.
  package static let baseFile: String? = {
    var folder = ProgramFile.path.map { URL(filePath: $0).deletingLastPathComponent() }
    for _ in 0..<6 {
      guard let here = folder else { return nil }
      for place in ["checkpoints", "share/bert-ddp"] {
        let path = here.appending(path: "\(place)/demo-base.h5").path
        if FileManager.default.fileExists(atPath: path) { return path }
      }
      folder = here.path == "/" ? nil : here.deletingLastPathComponent()
    }
    return nil
  }()

  /// The base in a few words.
  static var baseDescription: String {
    baseFile.map { "embedded demo: a tiny BERT, pre-trained (\($0))" }
      ?? "embedded demo: a tiny BERT that starts at random, as checkpoints/demo-base.h5 is not beside the program"
  }

  /// The tiny model's `config.json`.
  static func configurationJSON(vocabularySize: Int) -> Data {
    Data(
      """
      {"model_type": "bert", "vocab_size": \(vocabularySize), "hidden_size": 64, "num_hidden_layers": 2,
       "num_attention_heads": 4, "intermediate_size": 256, "max_position_embeddings": 64, "type_vocab_size": 2,
       "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
       "initializer_range": 0.1, "layer_norm_eps": 1e-12, "pad_token_id": 0}
      """.utf8)
  }

  /// The tiny model.
  static func base() throws -> Base {
    if let baseFile { return try Base(opening: baseFile) }
    let vocabulary = Array(DemoVocabulary.fileContent.utf8)
    let count = try Vocabulary(vocabulary, file: "the demo's vocabulary").count
    let json = configurationJSON(vocabularySize: count)
    var settings = TokenizerSettings()
    settings.lowercase = false
    return Base(
      random: try BERTConfiguration(json: json, source: "the embedded demo"), json: json,
      vocabulary: vocabulary, tokenizerSettings: settings)
  }

  /// The generated reviews.
  static func datasets(seed: UInt32) -> (training: Dataset, validation: Dataset?, test: Dataset?) {
    let corpus = DemoCorpus.generate(seed: seed, trainCount: trainCount, testCount: testCount)
    let dataset = { (name: String, reviews: [DemoCorpus.Review]) in
      Dataset(name: name, texts: reviews.map(\.text), labels: reviews.map(\.label))
    }
    return (
      dataset("the demo's training reviews", corpus.train), nil,
      dataset("the demo's test reviews", corpus.test)
    )
  }

  /// Writes the demo's data as files: labelled reviews, unlabelled texts of which none is a test review's, a vocabulary.
  /// - Returns: The names of the files.
  /// - Throws: `Failure` when they cannot be written.
  package static func write(to directory: String, seed: UInt32) throws -> [String] {
    let corpus = DemoCorpus.generate(seed: seed, trainCount: trainCount, testCount: testCount)
    let texts = DemoCorpus.unlabelled(seed: seed, count: textCount, excluding: corpus.test)
    let files = [
      ("train.tsv", DemoCorpus.table(corpus.train)), ("test.tsv", DemoCorpus.table(corpus.test)),
      ("texts.txt", texts.map { $0 + "\n" }.joined()), ("vocab.txt", DemoVocabulary.fileContent),
    ]
    for (name, text) in files {
      let path = directory + "/" + name
      guard let found = FileManager.default.contents(atPath: path), found != Data(text.utf8) else { continue }
      throw Failure(.cannotWrite, "\(path) exists and is not what would be written; choose another --output.")
    }
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
      for (name, text) in files {
        try Data(text.utf8).write(to: URL(filePath: directory + "/" + name), options: .atomic)
      }
    } catch {
      throw Failure(
        .cannotWrite, "\(directory) cannot be written: check the free space and the permissions there.")
    }
    return files.map(\.0)
  }
}
