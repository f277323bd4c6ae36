import ArgumentParser
import Collectives
import Console
import Failures
import Training

/// `bert-ddp import`.
struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn a model or an adapter of another library into one HDF5 file.",
    discussion: """
      A Hugging Face directory becomes a base: configuration, vocabulary, tokenizer
      settings and every tensor under its published name in one verified file.
      A folder of PEFT or of AdapterHub's library becomes a file like model.h5, tied
      to the base it was trained on; a head in the folder comes along.
      Example:
        bert-ddp import bert-base-multilingual-cased --output mbert.h5
        bert-ddp import ko_pfeiffer --base mbert.h5 --output ko.h5
      """)

  @Argument(help: "Directory of a Hugging Face model, or folder of an adapter.")
  var source: String
  @Option(help: "The HDF5 file to write.")
  var output: String
  @Option(help: "The base that an adapter was trained on.")
  var base: String?
  @Option(help: "What an adapter of AdapterHub's library is called here (default: as in its file).")
  var name: String?
  @Flag(
    help: "An old invertible block takes the non-linearity nested in its configuration, as the library of 2020 did.")
  var nestedNonLinearity = false
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    try MPISession.run { communicator in
      let screen = screen.opened(on: communicator)
      try communicator.collectively(where: communicator.isFirst) {
        try Output(output).check(isNone: [("--base", base)])
        try Output(output).checkReplacesOnlyOurs()
        if AdapterImport.isAdapter(source) { try importAdapter(screen) } else { try importBase(screen) }
      }
    }
  }

  private func importBase(_ screen: Screen) throws {
    for (option, isThere) in [
      ("base", base != nil), ("name", name != nil), ("nested-non-linearity", nestedNonLinearity),
    ] where isThere {
      throw Failure(.usage, "--\(option) is for folders of an adapter, and \(source) is none; leave it out.")
    }
    let base = try Base(opening: source)
    let tokenizer = try base.requireUsable()
    for notice in base.notices + base.notices(on: tokenizer) { screen.warning(notice + ".") }
    let bar = screen.progress("importing", total: base.tensorNames.count, unit: "tensors")
    let bytes = try base.write(to: output, producer: producer) { bar.update($0) }
    bar.finish()
    screen.line("tokenizer: \(RunReport.summary(of: tokenizer))")
    screen.result(
      "\(output): \(Format.count(base.tensorNames.count)) tensors, \(Format.bytes(bytes)), base \(base.contentSHA256.prefix(12))…"
    )
    try report(
      Summary(output: output, tensors: base.tensorNames.count, bytes: bytes, baseSHA256: base.contentSHA256), screen)
  }

  private func importAdapter(_ screen: Screen) throws {
    guard let base else {
      throw Failure(
        .usage, "\(source) is an adapter; name the base that it was trained on with --base.")
    }
    let adapter = try AdapterImport(source, as: name, usesNestedNonLinearity: nestedNonLinearity)
    let summary = try adapter.write(base: base, to: output)
    for notice in adapter.notices { screen.warning(notice + ".") }
    if let name = adapter.baseName { screen.line("trained on \(name), as the folder says") }
    let head =
      summary.classCount.map { "a head of \($0) classes" }
      ?? summary.baseClassCount.map { "no head of its own: the base's of \($0) classes" } ?? "no head"
    screen.result(
      "\(output): \(summary.method), \(head), \(Format.count(summary.tensorCount)) tensors, \(Format.bytes(summary.byteCount)), for base \(summary.baseSHA256.prefix(12))…"
    )
    try report(
      Summary(
        output: output, tensors: summary.tensorCount, bytes: summary.byteCount, baseSHA256: summary.baseSHA256,
        method: summary.method, classes: summary.classCount, trainedOn: adapter.baseName), screen)
  }

  private func report(_ summary: Summary, _ screen: Screen) throws {
    if self.screen.json { screen.json(try jsonText(summary)) }
  }

  private struct Summary: Encodable {
    let output: String
    let tensors: Int
    let bytes: Int
    let baseSHA256: String
    var method: String?
    var classes: Int?
    var trainedOn: String?

    private enum CodingKeys: String, CodingKey {
      case output, tensors, bytes, method, classes
      case baseSHA256 = "base_sha256", trainedOn = "trained_on"
    }
  }
}
