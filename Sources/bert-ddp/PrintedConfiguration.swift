import ArgumentParser
import Collectives
import Console
import FineTuning
import Training

/// `--print-config`: the options of a command as YAML that `--config` reads.
///
/// The options are found by looking at the command itself, so that none is ever left out.
struct PrintedConfiguration {
  /// The text.
  let yaml: String

  /// - Parameters:
  ///   - command: What was parsed.
  ///   - heading: The first line, a comment.
  ///   - resolved: Values that the command works out when an option is left out, by the option's name. Where neither a base
  ///     nor data are named they are the demo's, and a learning rate is its method's: without those they are comments, and
  ///     what is run with the file has its own.
  ///   - hidden: Options that are of no use in a file.
  init(_ command: some ParsableArguments, heading: String, resolved: [String: String] = [:], hidden: Set<String>) {
    var lines = ["# \(heading)"]
    let values = PrintedConfiguration.values(of: command)
    let given = Set(values.filter { $0.value != nil }.map(\.name))
    let isDemo = given.isDisjoint(with: ["base", "train-file"])
    for (name, value) in values where !hidden.contains(name) {
      let belongs = !isDemo && (!["method", "learning-rate"].contains(name) || given.contains("method"))
      switch (value, resolved[name]) {
      case (let text?, _): lines.append("\(name): \(PrintedConfiguration.quoted(text))")
      case (nil, let text?): lines.append("\(belongs ? "" : "# ")\(name): \(PrintedConfiguration.quoted(text))")
      case (nil, nil): lines.append("# \(name):")
      }
    }
    yaml = lines.map { $0 + "\n" }.joined()
  }

  /// Shows a training command's options; every rank has the same, so the first one does.
  /// - Parameters:
  ///   - command: What was parsed.
  ///   - name: What it is called.
  ///   - configurations: The runs that it comes to. Of several, what is not the same in all is left out: each has its own.
  /// - Throws: `Failure` when a method's options make no sense.
  static func show(
    _ command: some ParsableArguments, _ name: String, _ configurations: [TrainingConfiguration]
  ) throws {
    guard (Launcher.current?.rank ?? 0) == 0, let first = configurations.first else { return }
    var resolved = try PrintedConfiguration.resolved(first)
    for other in configurations.dropFirst() {
      let theirs = try PrintedConfiguration.resolved(other)
      resolved = resolved.filter { theirs[$0.key] == $0.value }
    }
    let printed = PrintedConfiguration(
      command, heading: "bert-ddp \(name) --config FILE; an option on the command line wins", resolved: resolved,
      hidden: ["config", "print-config", "untimed-steps", "no-checkpoints", "quiet", "json"])
    Screen().result(String(printed.yaml.dropLast()))
  }

  /// What a run's options come to that were left out.
  private static func resolved(_ configuration: TrainingConfiguration) throws -> [String: String] {
    let rate = try configuration.resolvedLearningRate()
    return [
      "epochs": "\(configuration.epochs)", "learning-rate": "\(rate)", "method": configuration.method,
      "adam-epsilon": "\(configuration.adamEpsilon)", "adam-beta2": "\(configuration.adamBeta2)",
      "weight-decay": "\(configuration.weightDecay)", "global-batch-size": "\(configuration.globalBatchSize)",
    ]
  }

  /// Names and values in the order of the help; nil for an option that was left out.
  static func values(of command: Any) -> [(name: String, value: String?)] {
    Mirror(reflecting: command).children.flatMap { child -> [(String, String?)] in
      if let option = child.value as? any ValueHolder, let label = child.label {
        return [(kebab(label), option.text)]
      }
      return child.value is any GroupHolder ? values(of: (child.value as? any GroupHolder)?.group ?? ()) : []
    }
  }

  /// `_trainFile` is `train-file`.
  private static func kebab(_ label: String) -> String {
    label.drop { $0 == "_" }.reduce(into: "") { text, letter in
      if letter.isUppercase { text += "-" }
      text += letter.lowercased()
    }
  }

  private static func quoted(_ text: String) -> String {
    let isPlain =
      !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-+._/,".contains($0)) }
    if isPlain, text.first.map({ $0.isLetter || $0.isNumber }) == true { return text }
    let escaped = text.unicodeScalars.map { scalar -> String in
      switch scalar {
      case "\"", "\\": "\\\(scalar)"
      case "\n": "\\n"
      case "\t": "\\t"
      default: String(scalar)
      }
    }
    return "\"\(escaped.joined())\""
  }
}

/// An option or a flag, whatever its type.
private protocol ValueHolder {
  /// Its value as it is written on the command line; nil when it has none.
  var text: String? { get }
}

/// Options that a command shares with others.
private protocol GroupHolder {
  var group: Any { get }
}

extension Option: ValueHolder {
  fileprivate var text: String? { written(wrappedValue) }
}

extension Flag: ValueHolder {
  fileprivate var text: String? { written(wrappedValue) }
}

extension OptionGroup: GroupHolder {
  fileprivate var group: Any { wrappedValue }
}

private func written(_ value: Any) -> String? {
  let mirror = Mirror(reflecting: value)
  if mirror.displayStyle == .optional { return mirror.children.first.flatMap { written($0.value) } }
  if let list = value as? LayerList { return list.layers.map(String.init).joined(separator: ",") }
  if let argument = value as? any ExpressibleByArgument { return argument.defaultValueDescription }
  return "\(value)"
}
