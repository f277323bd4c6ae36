import Failures
import FoundationEssentials
import Glibc

// For scripts that test the commands on a bare machine:
//   make-fixture DIRECTORY           writes tiny models and data there
//   make-fixture check-json FILE…    says whether each file is JSON; a .jsonl file, whether each of its lines is
//   make-fixture damage FLIPS SEED FILE OTHER…     damages copies of a file of ours and says how often that is noticed
//   make-fixture attribute NAME TEXT FILE COPY     copies a file of ours, with another text in an attribute
//   make-fixture failing CALL ERROR COMMAND…       starts a command whose calls fail as on a bad disk
do {
  let arguments = Array(CommandLine.arguments.dropFirst())
  if arguments.first == "check-json" {
    for path in arguments.dropFirst() { try checkJSON(path) }
  } else if arguments.first == "damage", arguments.count > 3, let flips = Int(arguments[1]),
    let seed = UInt32(arguments[2])
  {
    let damage = try Damage(arguments[3], others: Array(arguments[4...]), seed: seed)
    try damage.run(flips: flips)
  } else if arguments.first == "attribute", arguments.count == 5 {
    try copy(arguments[3], to: arguments[4], withAttribute: arguments[1], arguments[2])
  } else if arguments.first == "failing" {
    try startFailing(Array(arguments.dropFirst()))
  } else if arguments.count == 1 {
    try TinyModel.writeAll(in: arguments[0])
    try TinyData.writeAll(in: arguments[0])
  } else {
    throw Failure(.usage, "expected the directory to write to, or what is said at the top of main.swift")
  }
} catch {
  print("make-fixture: \(error)")
  exit((error as? Failure)?.exitStatus ?? 1)
}

/// Takes any value: what matters is that the decoder could read all of it.
struct AnyJSON: Decodable {
  init(from decoder: any Decoder) {}
}

func checkJSON(_ path: String) throws {
  let content = try Data(contentsOf: URL(filePath: path))
  let values = path.hasSuffix(".jsonl") ? content.split(separator: UInt8(ascii: "\n")) : [content]
  for (index, value) in values.enumerated() {
    do {
      _ = try JSONDecoder().decode(AnyJSON.self, from: Data(value))
    } catch {
      throw Failure(.badContent, "\(path), value \(index + 1), is not JSON")
    }
  }
}
