import ArgumentParser
import Checkpoints
import Console
import Failures
import FoundationEssentials
import Training

/// `bert-ddp inspect`.
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What is in an HDF5 base, checkpoint or model.",
    discussion: """
      The file's checksums are verified first.
      Example:
        bert-ddp inspect runs/lora/model.h5
      """)

  @Argument(help: "An HDF5 file of ours.")
  var file: String
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    let screen = Screen(quiet: screen.quiet, json: screen.json)
    let open = try TensorFile(opening: file)
    let groups = [TensorSchema.tensors, TensorSchema.firstMoment, TensorSchema.secondMoment]
    var description = Description(
      file: file, format: open.kind.rawValue, format_version: Int(open.version), bytes: open.byteCount,
      sha256: open.sha256, step: open.step, producer: try open.text("producer"),
      created_utc: try open.text("created_utc"), files: try open.fileNames(), tensors: [])
    for group in groups {
      description.tensors += try open.entries(group).map { .init(group: group, name: $0.name, shape: $0.shape) }
    }
    if self.screen.json {
      screen.json(try jsonText(description))
      return
    }
    show(description, on: screen)
    for name in ["configuration", "run_state", "tokenizer"] where open.hasAttribute(name) {
      screen.result("\(name): \(try open.text(name))")
    }
    for name in ["base_sha256", "data_sha256", "content_sha256"] where open.hasAttribute(name) {
      screen.result("\(name): \(try open.text(name))")
    }
  }

  private func show(_ description: Description, on screen: Screen) {
    var facts = Table(["", ""])
    facts.add("format", "\(description.format), version \(description.format_version)")
    facts.add("producer", "\(description.producer), \(description.created_utc)")
    facts.add("size", Format.bytes(description.bytes))
    facts.add("SHA-256", "\(description.sha256) (verified)")
    if let step = description.step { facts.add("step", Format.count(step)) }
    if !description.files.isEmpty { facts.add("files", description.files.joined(separator: ", ")) }
    let count = description.tensors.filter { $0.group == TensorSchema.tensors }.reduce(0) { $0 + $1.shape.reduce(1, *) }
    facts.add("parameters", Format.count(count))
    screen.result(facts, heading: description.file)
    var table = Table(["group", "tensor", "shape"])
    for tensor in description.tensors {
      table.add(tensor.group, tensor.name, tensor.shape.map(String.init).joined(separator: " × "))
    }
    screen.result(table)
  }

  /// The file in JSON.
  private struct Description: Encodable {
    // swift-format-ignore: AlwaysUseLowerCamelCase
    let file: String, format: String, format_version: Int, bytes: Int, sha256: String, step: Int?
    // swift-format-ignore: AlwaysUseLowerCamelCase
    let producer: String, created_utc: String, files: [String]
    var tensors: [Tensor]

    struct Tensor: Encodable {
      let group: String, name: String, shape: [Int]
    }
  }
}
