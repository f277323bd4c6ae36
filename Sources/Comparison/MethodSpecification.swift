internal import Failures

/// A method of a comparison as a person writes it: `NAME[:OPTION…][@RATE]`.
///
/// An option is a value that says the most about the method (`lora:16`, `adapter:houlsby`) or one of `train`'s options
/// for methods as `key=value` (`lora:32:lora-targets=query+value`), where `+` separates what `train` separates by commas.
package struct MethodSpecification: Sendable, Equatable {
  /// As it was written; the name in tables.
  package let label: String
  /// What `--method` is.
  package let method: String
  /// Options of `train`, such as `--lora-rank=16`.
  package let arguments: [String]
  /// The learning rate at its highest; the method's own when nil.
  package let learningRate: Double?

  /// Reads what a person wrote.
  /// - Throws: `Failure` of kind `usage` when it is not of that form.
  package init(_ text: String) throws {
    func failure(_ what: String) -> Failure {
      Failure(
        .usage, "--methods has \"\(text)\", \(what); expected NAME[:OPTION…][@RATE], as in lora:16 or full@2e-5.")
    }
    var rest = text[...]
    var rate: Double?
    if let at = text.lastIndex(of: "@") {
      rate = Double(text[text.index(after: at)...])
      guard let rate, rate.isFinite, rate >= 0 else { throw failure("where a learning rate stands after @") }
      rest = text[..<at]
    }
    let parts = rest.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard let name = parts.first, parts.allSatisfy({ !$0.isEmpty }) else { throw failure("with an empty part") }
    label = text
    method = name
    learningRate = rate
    arguments = try parts.dropFirst().map { option in
      guard let equals = option.firstIndex(of: "=") else {
        guard let key = MethodSpecification.key(of: option, for: name) else {
          throw failure("and \(name) takes no plain value: name the option, as in key=\(option)")
        }
        return "--\(key)=\(option)"
      }
      return "--\(option[..<equals])=\(option[option.index(after: equals)...].replacing("+", with: ","))"
    }
  }

  /// The methods of a list, each once.
  /// - Throws: `Failure` of kind `usage` when one is malformed or there twice.
  package static func list(_ text: String) throws -> [MethodSpecification] {
    let all = try text.split(separator: ",", omittingEmptySubsequences: false).map {
      try MethodSpecification(String($0))
    }
    var seen: Set<String> = []
    for one in all where !seen.insert(one.label).inserted {
      throw Failure(.usage, "--methods has \(one.label) twice; leave one out.")
    }
    return all
  }

  /// The option that a plain value stands for.
  private static func key(of value: String, for method: String) -> String? {
    switch method {
    case "lora": "lora-rank"
    case "prefix-tuning": "prefix-length"
    case "adapter", "fusion": Double(value) == nil ? "adapter-config" : "adapter-reduction-factor"
    default: nil
    }
  }
}
