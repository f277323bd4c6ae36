package import Failures
package import FoundationEssentials
internal import Glibc
internal import HDF5

/// Writes a file of ours, one tensor at a time, and publishes it.
///
/// ```swift
/// let writer = try TensorFileWriter(
///   to: path, .model, producer: "bert-ddp 1.0", expectedByteCount: 4 * weights.count)
/// try writer.setJSON("configuration", configuration)
/// try writer.write("classifier.weight", shape: [2, 768], weights)
/// let published = try writer.publish()
/// ```
///
/// Without `publish()` nothing of it stays.
package struct TensorFileWriter: ~Copyable, Sendable {
  private let publication: Publication

  /// Begins a file and writes what every file of ours has.
  ///
  /// - Parameters:
  ///   - path: Where it will stand, in a directory that exists.
  ///   - kind: What it is for.
  ///   - producer: The program and its version.
  ///   - expectedByteCount: Bytes of all tensors and files that will be written.
  ///   - step: The step of a checkpoint.
  /// - Throws: `cannotWrite`, with path, bytes needed and available, and the system's reason.
  package init(
    to path: String, _ kind: TensorSchema.Kind, producer: String, expectedByteCount: Int, step: Int? = nil
  ) throws(Failure) {
    let publication = try Publication(to: path, expectedByteCount: expectedByteCount, step: step)
    do throws(HDF5Error) {
      try publication.hdf5.setAttribute("format", kind.rawValue)
      try publication.hdf5.setAttribute("format_version", TensorSchema.version)
      try publication.hdf5.setAttribute("producer", producer)
      try publication.hdf5.setAttribute("created_utc", Self.now())
      if let step { try publication.hdf5.setAttribute("step", Int64(step)) }
    } catch {
      throw publication.failure(error)
    }
    self.publication = publication
  }

  /// Adds a JSON text, such as `configuration`; of any length.
  package func setJSON(_ name: String, _ json: Data) throws(Failure) {
    guard let text = String(validating: json, as: UTF8.self) else {
      throw Failure(.badContent, "\(publication.path): “\(name)” is not UTF-8, so it is not JSON")
    }
    try setText(name, text)
  }

  /// Adds a text.
  package func setText(_ name: String, _ value: String) throws(Failure) {
    try asFailure { () throws(HDF5Error) in try publication.hdf5.setAttribute(name, value) }
  }

  /// Says in the file what a group holds; makes the group where it is missing.
  package func describe(_ group: String, _ description: String) throws(Failure) {
    try asFailure { () throws(HDF5Error) in
      try publication.hdf5.createGroup(group)
      try publication.hdf5.setAttribute("description", description, on: group)
    }
  }

  /// Writes a tensor.
  ///
  /// - Parameters:
  ///   - name: The published name, without slashes.
  ///   - group: Its group.
  ///   - shape: The extents; their product is the count of the values.
  ///   - values: Row by row.
  /// - Throws: `cannotWrite` with the system's reason, or `badContent` for a name that cannot be one.
  package func write(
    _ name: String, in group: String = TensorSchema.tensors, shape: [Int],
    _ values: UnsafeBufferPointer<Float>
  ) throws(Failure) {
    try TensorSchema.check(name: name, in: group, path: publication.path)
    try asFailure { () throws(HDF5Error) in
      try publication.hdf5.write("\(group)/\(name)", shape: shape, values)
    }
  }

  /// Writes a file that belongs to the tensors, such as `vocab.txt`.
  package func writeFile(_ name: String, _ bytes: [UInt8]) throws(Failure) {
    try TensorSchema.check(name: name, in: TensorSchema.files, path: publication.path)
    try bytes.withUnsafeBufferPointer { (bytes) throws(Failure) in
      try asFailure { () throws(HDF5Error) in
        try publication.hdf5.write("\(TensorSchema.files)/\(name)", shape: [bytes.count], bytes)
      }
    }
  }

  /// Verifies what was written and puts it in place.
  ///
  /// - Returns: What now stands at the path.
  /// - Throws: `cannotWrite`; what stood at the path before stands there still.
  package consuming func publish() throws(Failure) -> Publication.Result {
    try publication.commit()
  }

  /// The time as ISO 8601 has it, to the second.
  static func now() -> String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    return "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
  }

  private func asFailure(_ body: () throws(HDF5Error) -> Void) throws(Failure) {
    do throws(HDF5Error) {
      try body()
    } catch {
      throw publication.failure(error)
    }
  }
}
