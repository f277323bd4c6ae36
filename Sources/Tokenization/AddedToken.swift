import Failures
import JSON

/// A token that is cut out of the text before it is split into words, as Hugging Face's files write it.
struct AddedToken {
  /// The text it stands for.
  var content = ""
  /// Its id, where the file gives one.
  var id: Int?
  /// Conditions on where it counts that are set in the file; only none at all is supported.
  var conditions: [String] = []

  /// Reads a token given as a string or as an object.
  /// - Parameters:
  ///   - json: Where it is next.
  ///   - isSpecial: What it is where the object does not say.
  /// - Throws: `Failure` (bad content) for anything else.
  init(_ json: inout JSONScanner, isSpecial: Bool = false) throws {
    guard json.isAtObject() else {
      content = try json.string()
      return
    }
    var isSpecial = isSpecial
    var isNormalized: Bool?
    try json.object { name, json in
      switch name {
      case "content": content = try json.string()
      case "id": id = try json.wholeNumber()
      case "special": isSpecial = try json.boolean()
      case "normalized": isNormalized = try json.boolean()
      case "single_word", "lstrip", "rstrip": if try json.boolean() { conditions.append(name) }
      default: try json.skipValue()
      }
    }
    if isNormalized ?? !isSpecial { conditions.append("normalized") }
  }

  /// A token named without more.
  init(_ content: String) { self.content = content }

  /// A token of the table `added_tokens.json`, which counts in the normalized text unless it is special.
  init(_ content: String, id: Int, isSpecial: Bool) {
    (self.content, self.id) = (content, id)
    if !isSpecial { conditions.append("normalized") }
  }

  /// Checks that the token counts wherever it stands in the raw text.
  ///
  /// - Throws: `Failure` (bad content) that names the token and the condition.
  func checkConditions(directory: String) throws {
    guard let condition = conditions.first else { return }
    throw Failure(
      .badContent,
      "\(directory): the added token “\(content)” is “\(condition)”, which is not supported; expected added "
        + "tokens that count wherever they stand in the raw text (special, and not \(condition))")
  }
}
