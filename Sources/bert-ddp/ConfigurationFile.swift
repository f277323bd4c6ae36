import ArgumentParser
import Datasets
import Failures
import Yams

/// `--config FILE`: options in YAML, put before those of the command line, so that the latter win.
struct ConfigurationFile {
  /// The arguments that a line of the file stands for.
  private struct Option {
    let line: Int
    let argument: String?
    /// The name of a flag that the line says is not there; what that means is the command's matter.
    var absentFlag: String?
  }

  private let path: String
  private var options: [Option] = []

  /// The command that the arguments name, with the options of a `--config` file where they ask for one.
  /// - Throws: `Failure` when the file is missing, not a flat map, or has an option that the command does not take;
  ///   the argument parser's error when the command line is to blame, or asks for help.
  static func parse(_ arguments: [String]) throws -> any ParsableCommand {
    let names = BertDDP.commandNames
    if let first = arguments.first, !first.hasPrefix("-"), first != "help", !names.contains(first) {
      throw Failure(.usage, "there is no command \(first); expected \(names.joined(separator: ", ")).")
    }
    guard let (path, rest) = take(arguments) else { return try BertDDP.parseAsRoot(arguments) }
    if let (second, _) = take(rest) {
      throw Failure(.usage, "--config is there twice, with \(path) and \(second); put all options into one file.")
    }
    let file = try ConfigurationFile(path)
    do {
      return try BertDDP.parseAsRoot(file.joined(to: rest))
    } catch {
      // Help and the version come as errors too.
      guard BertDDP.exitCode(for: error) != .success else { throw error }
      throw file.fault(error, rest) ?? error
    }
  }

  private init(_ path: String) throws {
    self.path = path
    let text = String(decoding: try fileContents(of: path, option: "--config"), as: UTF8.self)
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch {
      throw Failure(
        .badContent, "\(path)\(ConfigurationFile.describe(error)); \(ConfigurationFile.expected).")
    }
    guard let mapping = node?.mapping else {
      throw Failure(.badContent, "\(path) is not a map of options; \(ConfigurationFile.expected).")
    }
    for (key, value) in mapping { options.append(try option(key, value)) }
  }

  private static let expected = "expected lines such as \"method: lora\""

  /// `--config PATH` or `--config=PATH`, and what is left without it.
  private static func take(_ arguments: [String]) -> (path: String, rest: [String])? {
    var rest = arguments
    // What follows "--" is another command's.
    let end = arguments.firstIndex(of: "--") ?? arguments.count
    if let index = arguments[..<end].firstIndex(of: "--config"), index + 1 < end {
      rest.removeSubrange(index...index + 1)
      return (arguments[index + 1], rest)
    }
    if let index = arguments[..<end].firstIndex(where: { $0.hasPrefix("--config=") }) {
      rest.remove(at: index)
      return (String(arguments[index].dropFirst("--config=".count)), rest)
    }
    return nil
  }

  /// The arguments with the file's in front of them, but for one line; a command's name stays first.
  private func joined(to rest: [String], without line: Int? = nil) -> [String] {
    let name = rest.first.flatMap { BertDDP.commandNames.contains($0) ? $0 : nil }
    let flags = ConfigurationFile.flags(of: name)
    let own = options.filter { $0.line != line }.compactMap { option in
      option.argument ?? option.absentFlag.flatMap { ConfigurationFile.argument(without: $0, flags) }
    }
    return (name.map { [$0] } ?? []) + own + rest.dropFirst(name == nil ? 0 : 1)
  }

  /// What turns a flag off: `--no-NAME` where the command has that, nothing where the flag is off unless it is there, and
  /// of a flag that the command does not know its name, for the parser to refuse.
  private static func argument(without flag: String, _ flags: Set<String>) -> String? {
    if flags.contains("--no-\(flag)") { return "--no-\(flag)" }
    return flags.contains("--\(flag)") ? nil : "--\(flag)"
  }

  /// Every option in a command's help; the parser has no other list of them.
  private static func flags(of name: String?) -> Set<String> {
    let command = BertDDP.configuration.subcommands.first { $0._commandName == name } ?? Train.self
    let words = BertDDP.helpMessage(for: command, includeHidden: true).split { " \n/,[]()<>".contains($0) }
    return Set(words.filter { $0.hasPrefix("--") }.map(String.init))
  }

  /// The line without which the error would not be, if there is one.
  private func fault(_ error: any Error, _ rest: [String]) -> Failure? {
    let message = BertDDP.message(for: error)
    for line in options.map(\.line) {
      let remaining = Result { try BertDDP.parseAsRoot(joined(to: rest, without: line)) }
      if case .failure(let other) = remaining, BertDDP.message(for: other) == message { continue }
      return Failure(.badContent, "\(path):\(line): \(BertDDP.sentence(on: error))")
    }
    return nil
  }

  private func option(_ key: Node, _ value: Node) throws -> Option {
    let line = key.mark?.line ?? 1
    func failure(_ what: String) -> Failure { Failure(.badContent, "\(path):\(line): \(what).") }
    guard let name = key.string?.replacing("_", with: "-"), !name.isEmpty, name != "config" else {
      throw failure("this is not the name of an option; \(ConfigurationFile.expected)")
    }
    if let values = value.sequence {
      let words = values.compactMap(\.scalar?.string)
      guard words.count == values.count else {
        throw failure("\(name) is a list of more than words and numbers")
      }
      return Option(line: line, argument: "--\(name)=\(words.joined(separator: ","))")
    }
    guard let text = value.scalar?.string else { throw failure("\(name) is not a single value or a list") }
    if value.tag == Tag(.null) { return Option(line: line, argument: nil) }
    // A flag is there or not; `true` and `false` are only that for a bare word.
    if value.tag == Tag(.bool), let isSet = value.bool {
      return Option(line: line, argument: isSet ? "--\(name)" : nil, absentFlag: isSet ? nil : name)
    }
    return Option(line: line, argument: "--\(name)=\(text)")
  }

  /// Where the parser stopped, and why.
  private static func describe(_ error: any Error) -> String {
    switch error as? YamlError {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      ":\(mark.line): this is not YAML: \(problem)"
    case .duplicatedKeysInMapping(let duplicates, let context):
      ":\(context.mark.line): \(duplicates.joined(separator: ", ")) is there twice"
    case .reader(let problem, _, _, _): " is not YAML: \(problem)"
    default: " is not YAML"
    }
  }
}
