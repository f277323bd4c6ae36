package import Failures
internal import Glibc

/// Why a call of this room failed, with the file and the object in it.
package struct HDF5Error: Error, CustomStringConvertible, Sendable, Equatable {
  /// What kind of reason it is.
  package enum Cause: Sendable, Equatable {
    /// The file could not be opened or read; the value is `errno`.
    case unreadable(Int32)
    /// The file could not be created or written; the value is `errno`.
    case unwritable(Int32)
    /// A group, dataset or attribute that is not there.
    case missing
    /// It is there, but of another element type, shape or layout than asked for.
    case mismatch
    /// The library refused: the content is damaged or of a kind that it cannot read.
    case library
  }

  /// What kind of reason it is.
  package let cause: Cause
  /// The file.
  package let path: String
  /// The group, dataset or attribute, if it is about one.
  package let object: String?
  /// The reason in words, with what was expected and found.
  package let detail: String

  /// An error about an object of a file.
  package init(_ cause: Cause, path: String, object: String? = nil, _ detail: String) {
    self.cause = cause
    self.path = path
    self.object = object
    self.detail = detail
  }

  /// One sentence: file, object, reason.
  package var description: String {
    guard let object else { return "\(path): \(detail)" }
    return "\(path): “\(object)”: \(detail)"
  }

  /// The error as a person's: unreadable is a missing input, unwritable a failed write, all else bad content.
  package var failure: Failure {
    switch cause {
    case .unreadable: Failure(.noInput, description)
    case .unwritable: Failure(.cannotWrite, description)
    case .missing, .mismatch, .library: Failure(.badContent, description)
    }
  }
}

/// The system's text for an `errno`, such as "No space left on device".
///
/// The corresponding C function is `strerror_r`.
package func systemErrorText(_ code: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
  return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
