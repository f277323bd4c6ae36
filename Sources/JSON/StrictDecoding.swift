internal import Failures
internal import FoundationEssentials

extension JSONValue {
  /// Reads a value of a type from a document that nobody vouches for.
  ///
  /// The document is read as a tree first, which refuses what is malformed or nested too deep: at arrays within arrays,
  /// some hundreds deep, Foundation's decoder ends the program.
  /// - Parameters:
  ///   - type: What to read.
  ///   - bytes: JSON text.
  ///   - source: What it is, for messages, quoted.
  /// - Returns: The value.
  /// - Throws: `Failure(.badContent)` when it is not JSON as ``init(_:source:limit:)`` reads it, or not of the type.
  package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], source: String) throws -> Value
  {
    _ = try JSONValue(bytes, source: source, limit: largestModelConfiguration)
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let failure as Failure {
      throw Failure(.badContent, "\(source): \(failure.message)")
    } catch {
      throw Failure(.badContent, "\(source) is not what bert-ddp writes there")
    }
  }
}
