internal import Failures
package import JSON

extension JSONValue {
  /// Reads a file.
  /// - Throws: As ``init(_:source:)``, and `Failure(.noInput)` when the file is missing or unreadable.
  package init(contentsOf path: String) throws {
    let file = try InputFile(path)
    try self.init(
      file.bytes(at: 0, count: min(file.byteCount, JSONValue.maximumByteCount + 1)), source: path.quoted)
  }
}
