import ArgumentParser
import Collectives
import Console
import Datasets
import Failures
import FoundationEssentials
import Tokenization
import Training

/// `bert-ddp vocabulary`.
struct VocabularyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vocabulary",
    abstract: "Train a WordPiece vocabulary on texts.",
    discussion: """
      Words are those of BERT's tokenizer. From single characters on, the two
      neighbouring pieces that stand together most often become one, until the
      vocabulary has as many tokens as it should.
      Example:
        bert-ddp vocabulary --input texts.txt --size 16000 --output vocab.txt
      """)

  @Option(help: "Texts, one a line; or a TSV or JSONL file with the text column; - for standard input.")
  var input: String
  @Option(help: "How many tokens it is to have, special tokens included.")
  var size: Int
  @Option(help: "The vocab.txt to write; - for standard output.")
  var output: String
  @Option(help: "Column or key of the text.")
  var textColumn = "document"
  @Option(help: "Leave alone what stands less often.")
  var minFrequency = 2
  @Flag(help: "Lower-case texts and drop accents; pretrain then needs --lowercase too.")
  var lowercase = false
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    guard (1...Vocabulary.largestCount).contains(size) else {
      throw Failure(.usage, "--size is \(size), expected a whole number up to \(Vocabulary.largestCount).")
    }
    guard minFrequency >= 1 else {
      throw Failure(.usage, "--min-frequency is \(minFrequency), expected a whole number from 1 on.")
    }
    try MPISession.run { communicator in
      // Standard output may be the vocabulary's.
      let isPiped = screen.json || output == "-"
      let screen = screen.opened(on: communicator, json: isPiped)
      try communicator.collectively(where: communicator.isFirst) { try train(screen) }
    }
  }

  private func train(_ screen: Screen) throws {
    try Output(output).check()
    try Output(output).check(isNone: [("--input", input)])
    let texts = try Dataset.unlabelled(path: input, columns: ColumnNames(text: textColumn), option: "--input")
    var settings = TokenizerSettings()
    settings.lowercase = lowercase
    let words = count(texts, settings, screen)
    guard words.count > 0 else {
      throw Failure(.badContent, "\(texts.name) has no words; expected texts, one a line.")
    }
    var options = WordPieceTrainer.Options(size: size)
    options.minimumFrequency = minFrequency
    let bar = screen.progress("joining pieces", total: size, unit: "tokens")
    let bytes = try WordPieceTrainer.train(words, options) { bar.update($0) }
    bar.finish()
    let vocabulary = try Vocabulary(bytes, file: output)
    try Output(output).write(Data(bytes))
    if vocabulary.count < size {
      screen.warning(
        "the texts give \(vocabulary.count) tokens, not \(size): nothing else stands \(minFrequency) times or more."
      )
    }
    screen.result(
      "\(output): \(Format.count(vocabulary.count)) tokens from \(Format.count(words.count)) different words of \(Format.count(texts.count)) texts"
    )
    if self.screen.json {
      screen.json(
        try jsonText(
          Summary(output: output, tokens: vocabulary.count, words: words.count, texts: texts.count)))
    }
  }

  private func count(_ texts: Dataset, _ settings: TokenizerSettings, _ screen: Screen) -> WordCounts {
    var words = WordCounts(settings)
    let bar = screen.progress("counting words", total: texts.count, unit: "texts")
    defer { bar.finish() }
    for row in 0..<texts.count {
      texts.withText(row) { words.add($0.span) }
      if row % 1024 == 0 { bar.update(row) }
    }
    return words
  }

  private struct Summary: Encodable {
    let output: String
    let tokens: Int
    let words: Int
    let texts: Int
  }
}
