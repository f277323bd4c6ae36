import Datasets
import Failures
import Yams

/// `--config FILE`: options in YAML, written out before those of the command line, so that the latter win.
enum ConfigurationFile {
  /// The arguments with the options of a `--config` file in front.
  /// - Throws: `Failure` when the file is missing or not a flat map of options.
  static func expand(_ arguments: [String]) throws -> [String] {
    guard let (path, rest) = take(arguments) else { return arguments }
    let text = String(decoding: try fileContents(of: path), as: UTF8.self)
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch {
      throw Failure(.badContent, "\(path) is not YAML (\(error)); expected lines such as \"method: lora\".")
    }
    guard let mapping = node?.mapping else {
      throw Failure(.badContent, "\(path) is not a map of options; expected lines such as \"method: lora\".")
    }
    var options: [String] = []
    for (key, value) in mapping { options += try option(key, value, path) }
    // A subcommand's name stays in front of its options.
    let names: Set<String> = ["train", "import", "evaluate", "predict", "inspect"]
    if let first = rest.first, names.contains(first) { return [first] + options + rest.dropFirst() }
    return options + rest
  }

  private static func take(_ arguments: [String]) -> (path: String, rest: [String])? {
    if let index = arguments.firstIndex(of: "--config"), index + 1 < arguments.count {
      var rest = arguments
      rest.removeSubrange(index...index + 1)
      return (arguments[index + 1], rest)
    }
    if let index = arguments.firstIndex(where: { $0.hasPrefix("--config=") }) {
      var rest = arguments
      rest.remove(at: index)
      return (String(arguments[index].dropFirst("--config=".count)), rest)
    }
    return nil
  }

  private static func option(_ key: Node, _ value: Node, _ path: String) throws -> [String] {
    guard let name = key.string?.replacing("_", with: "-") else {
      throw Failure(.badContent, "\(path): a key is not a name; expected lines such as \"method: lora\".")
    }
    if let values = value.sequence {
      return ["--\(name)", values.compactMap(\.string).joined(separator: ",")]
    }
    // A flag is there or not; `true` and `false` are only that for a bare word.
    if value.tag == Tag(.bool), let flag = value.bool { return flag ? ["--\(name)"] : [] }
    guard let text = value.scalar?.string else {
      throw Failure(.badContent, "\(path): \(name) is not a single value or a list.")
    }
    return ["--\(name)", text]
  }
}
