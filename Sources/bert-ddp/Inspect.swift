import ArgumentParser
import Checkpoints
import Collectives
import Console
import Failures
import FoundationEssentials
import JSON
import Training

/// `bert-ddp inspect`.
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What is in an HDF5 base, checkpoint or model.",
    discussion: """
      The file's checksum is verified first. Each tensor's SHA-256 is that of its
      numbers: equal tensors of two files have equal ones.
      Example:
        bert-ddp inspect runs/lora/model.h5
      """)

  @Argument(help: "An HDF5 file of ours.")
  var file: String
  @OptionGroup var screen: ScreenOptions

  func run() throws {
    try MPISession.run { communicator in
      let screen = Screen(quiet: screen.quiet, json: screen.json)
      try communicator.collectively(where: communicator.isFirst) {
        let description = try FileDescription(TensorFile(opening: file))
        if self.screen.json {
          screen.json(try jsonText(description))
        } else {
          try show(description, on: screen)
        }
      }
    }
  }

  private func show(_ description: FileDescription, on screen: Screen) throws {
    var facts = Table(["", ""])
    facts.add("format", "\(description.format), version \(description.formatVersion)")
    facts.add("producer", "\(description.producer), \(description.created)")
    facts.add("size", Format.bytes(description.bytes))
    facts.add("SHA-256", "\(description.sha256) (verified)")
    if let step = description.step { facts.add("step", Format.count(step)) }
    if let hash = description.baseSHA256 { facts.add("base", hash) }
    if let hash = description.dataSHA256 { facts.add("data", hash) }
    if let path = description.importedFrom { facts.add("imported from", path) }
    if let hash = description.contentSHA256 { facts.add("content", hash) }
    if !description.files.isEmpty { facts.add("files", description.files.joined(separator: ", ")) }
    facts.add("parameters", Format.count(description.parameters))
    screen.result(facts, heading: description.file)
    for (name, value) in [
      ("configuration", description.configuration), ("run state", description.runState),
      ("tokenizer", description.tokenizer),
    ] {
      if let value { screen.result("\(name): \(try jsonText(value))") }
    }
    var table = Table(["group", "tensor", "shape", "SHA-256"])
    for tensor in description.tensors {
      let shape = tensor.shape.map(String.init).joined(separator: " × ")
      table.add(tensor.group, tensor.name, shape, "\(tensor.sha256.prefix(12))…")
    }
    screen.result(table)
  }
}

/// All that `inspect` says of a file; in JSON with the names of the file's attributes.
private struct FileDescription: Encodable {
  let file: String
  let format: String
  let formatVersion: Int64
  let bytes: Int
  let sha256: String
  let step: Int?
  let producer: String
  let created: String
  let files: [String]
  let baseSHA256: String?
  let dataSHA256: String?
  let contentSHA256: String?
  let importedFrom: String?
  let configuration: JSONValue?
  let runState: JSONValue?
  let tokenizer: JSONValue?
  let parameters: Int
  let tensors: [Tensor]

  struct Tensor: Encodable {
    let group: String
    let name: String
    let shape: [Int]
    let sha256: String
  }

  private enum CodingKeys: String, CodingKey {
    case file, format, bytes, sha256, step, producer, files, configuration, tokenizer, parameters, tensors
    case formatVersion = "format_version", created = "created_utc", runState = "run_state"
    case baseSHA256 = "base_sha256", dataSHA256 = "data_sha256", contentSHA256 = "content_sha256"
    case importedFrom = "imported_from"
  }

  init(_ open: borrowing TensorFile) throws {
    file = open.path
    format = open.kind.rawValue
    formatVersion = open.version
    (bytes, sha256, step) = (open.byteCount, open.sha256, open.step)
    (producer, created) = (try open.text("producer"), try open.text("created_utc"))
    files = try open.fileNames()
    baseSHA256 = try FileDescription.text("base_sha256", open)
    dataSHA256 = try FileDescription.text("data_sha256", open)
    contentSHA256 = try FileDescription.text("content_sha256", open)
    importedFrom = try FileDescription.text("imported_from", open)
    configuration = try FileDescription.json("configuration", open)
    runState = try FileDescription.json("run_state", open)
    tokenizer = try FileDescription.json("tokenizer", open)
    var tensors: [Tensor] = []
    for group in [TensorSchema.tensors, TensorSchema.firstMoment, TensorSchema.secondMoment] {
      for entry in try open.entries(group) {
        tensors.append(
          Tensor(
            group: group, name: entry.name, shape: entry.shape,
            sha256: try FileDescription.digest(entry, group, open)))
      }
    }
    parameters = try open.entries(TensorSchema.tensors).reduce(0) { $0 + $1.count }
    self.tensors = tensors
  }

  private static func digest(
    _ entry: StoredEntry, _ group: String, _ open: borrowing TensorFile
  ) throws -> String {
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: entry.count)
    defer { values.deallocate() }
    values.initialize(repeating: 0)
    try open.read(entry.name, in: group, into: values)
    return Digest.hex(of: UnsafeRawBufferPointer(values))
  }

  private static func text(_ name: String, _ open: borrowing TensorFile) throws -> String? {
    open.hasAttribute(name) ? try open.text(name) : nil
  }

  private static func json(_ name: String, _ open: borrowing TensorFile) throws -> JSONValue? {
    open.hasAttribute(name) ? try open.jsonValue(name) : nil
  }
}
