package import Failures

/// An object of a configuration file, read key by key; it knows which keys nobody asked for.
///
/// A key whose value is null counts as absent, as it does in the Python libraries.
package struct ConfigurationReader {
  /// What is read, for messages, quoted.
  package let source: String
  private let members: [String: JSONValue]
  private var unread: [String]

  /// The largest whole number of a configuration; products of sizes up to it cannot overflow.
  package static let maximumCount = 1 << 24
  /// The longest list of a configuration.
  package static let maximumListCount = 1024

  /// A reader of an object.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package init(_ value: JSONValue, source: String) throws {
    guard case .object(let list) = value else {
      throw Failure(.badContent, "\(source) is \(value.line.quoted), but a JSON object was expected")
    }
    self.source = source
    members = Dictionary(list.map { ($0.key, $0.value) }) { first, _ in first }
    unread = list.map(\.key)
  }

  /// The value of a key, or nil when it is absent or null.
  package mutating func value(_ key: String) -> JSONValue? {
    unread.removeAll { $0 == key }
    guard let value = members[key], value != .null else { return nil }
    return value
  }

  /// Whether a key is there, even as null.
  package func has(_ key: String) -> Bool { members[key] != nil }

  /// The string under a key.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package mutating func string(_ key: String) throws -> String? {
    guard let value = value(key) else { return nil }
    guard case .string(let text) = value else { throw failure(key, value, "a string") }
    return text
  }

  /// The truth value under a key.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package mutating func boolean(_ key: String) throws -> Bool? {
    guard let value = value(key) else { return nil }
    guard case .boolean(let flag) = value else { throw failure(key, value, "true or false") }
    return flag
  }

  /// The whole number, at least `minimum`, under a key.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package mutating func count(_ key: String, atLeast minimum: Int = 0) throws -> Int? {
    guard let value = value(key) else { return nil }
    guard let count = value.count, count >= minimum, count <= ConfigurationReader.maximumCount else {
      throw failure(key, value, "a whole number of at least \(minimum)")
    }
    return count
  }

  /// The whole number under a key, however large.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package mutating func wholeNumber(_ key: String) throws -> Int? {
    guard let value = value(key) else { return nil }
    guard let count = value.count else { throw failure(key, value, "a whole number") }
    return count
  }

  /// The number under a key.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package mutating func number(_ key: String) throws -> Double? {
    guard let value = value(key) else { return nil }
    guard let number = value.number, number.isFinite else { throw failure(key, value, "a number") }
    return number
  }

  /// The probability under a key.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package mutating func probability(_ key: String) throws -> Double? {
    guard let number = try number(key) else { return nil }
    guard number >= 0, number < 1 else { throw failure(key, .decimal(number), "a probability below 1") }
    return number
  }

  /// The strings under a key.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package mutating func strings(_ key: String) throws -> [String]? {
    guard let value = value(key) else { return nil }
    guard let strings = value.strings, strings.count <= ConfigurationReader.maximumListCount else {
      throw failure(key, value, "a list of strings")
    }
    return strings
  }

  /// The whole numbers under a key.
  /// - Throws: `Failure(.badContent)` when it is something else.
  package mutating func counts(_ key: String) throws -> [Int]? {
    guard let value = value(key) else { return nil }
    guard case .array(let elements) = value, elements.count <= ConfigurationReader.maximumListCount else {
      throw failure(key, value, "a list of whole numbers")
    }
    return try elements.map {
      guard let count = $0.count, count >= 0, count <= ConfigurationReader.maximumCount else {
        throw failure(key, value, "a list of whole numbers")
      }
      return count
    }
  }

  /// A value of a key that has to be there.
  /// - Throws: `Failure(.badContent)` when `value` is nil.
  package func required<Value>(_ key: String, _ value: Value?) throws -> Value {
    guard let value else { throw Failure(.badContent, "\(source) lacks the key \(key.quoted)") }
    return value
  }

  /// Marks keys as known that change nothing here.
  package mutating func ignore(_ keys: [String]) { unread.removeAll { keys.contains($0) } }

  /// Refuses a key that asks for something which does not exist here.
  /// - Throws: `Failure(.badContent)` naming the key, what was found and what it would mean.
  package mutating func refuse(_ key: String, _ meaning: String) throws {
    guard let value = value(key), !value.isNeutral else { return }
    throw Failure(.badContent, "\(source): \(key) is \(value.line.quoted); \(meaning) is not supported here")
  }

  /// Refuses keys that nobody asked for, unless they say nothing (null, false, empty).
  /// - Throws: `Failure(.badContent)` naming the first.
  package func refuseUnread() throws {
    for key in unread {
      guard let value = members[key], !value.isNeutral else { continue }
      throw Failure(
        .badContent,
        "\(source) has the unknown key \(key.quoted) with the value \(value.line.quoted); "
          + "remove it if it does not change what the adapter computes")
    }
  }

  /// A failure about the value of a key.
  package func failure(_ key: String, _ value: JSONValue, _ expected: String) -> Failure {
    Failure(.badContent, "\(source): \(key) is \(value.line.quoted), but \(expected) was expected")
  }
}

extension JSONValue {
  /// A whole number, also where it is written as 16.0.
  package var count: Int? {
    switch self {
    case .integer(let value): value
    case .decimal(let value): Int(exactly: value)
    default: nil
    }
  }

  /// A number.
  package var number: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .decimal(let value): value
    default: nil
    }
  }

  /// A list of strings.
  package var strings: [String]? {
    guard case .array(let elements) = self else { return nil }
    var strings: [String] = []
    for element in elements {
      guard case .string(let text) = element else { return nil }
      strings.append(text)
    }
    return strings
  }

  /// A number as Python writes it: whole where it is whole.
  package init(number: Double) {
    if let whole = Int(exactly: number) { self = .integer(whole) } else { self = .decimal(number) }
  }
}
