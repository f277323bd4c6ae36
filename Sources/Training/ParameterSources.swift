internal import Checkpoints
internal import Failures
internal import Tensors

/// A verified file that several owners may hold.
final class OpenTensorFile: ParameterSource {
  let file: TensorFile
  /// Its tensors' shapes.
  let shapes: [String: [Int]]

  init(_ path: String, as kinds: [TensorSchema.Kind]) throws {
    file = try TensorFile(opening: path, as: kinds)
    shapes = Dictionary(uniqueKeysWithValues: try file.entries().map { ($0.name, $0.shape) })
  }

  func shape(_ name: String) -> [Int]? { shapes[name] }

  func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    try file.read(name, shape: shape, into: values)
  }
}

extension ParameterSource {
  /// SHA-256 over the names, shapes and numbers of some tensors, in the order of their names.
  /// - Throws: `Failure` when one cannot be read.
  func contentDigest(of names: [String]) throws -> String {
    var lines = ""
    for name in names.sorted() {
      lines += try withTensor(name) { "\(name) \($0) \(Digest.hex(of: UnsafeRawBufferPointer($1)))\n" }
    }
    return Digest.hex(of: Array(lines.utf8))
  }

  /// Reads a tensor into memory for as long as a closure runs, which gets its shape and its numbers.
  /// - Throws: `Failure` when it is missing or cannot be read.
  func withTensor<Result>(
    _ name: String, _ body: ([Int], UnsafeMutableBufferPointer<Float>) throws -> Result
  ) throws -> Result {
    guard let shape = shape(name) else { throw Failure(.badContent, "there is no tensor \(name).") }
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: shape.reduce(1, *))
    defer { values.deallocate() }
    values.initialize(repeating: 0)
    try read(name, shape: shape, into: values)
    return try body(shape, values)
  }
}
