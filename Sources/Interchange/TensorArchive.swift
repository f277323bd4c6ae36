internal import Failures

/// Named tensors in one or several files, open for reading.
///
/// Nothing but names and shapes is held in memory: each tensor is read, converted and checked when it is
/// asked for, so that a checkpoint is never in memory twice.
package struct TensorArchive: Sendable {
  /// The file or directory it was opened from.
  package let path: String
  private let tensors: [StoredTensor]
  private let positions: [String: Int]

  /// Most tensors that one file may have; the largest BERT has 400.
  static let maximumTensors = 65_536

  /// Tensors by name.
  /// - Throws: `Failure(.badContent)` when two have the same name.
  init(path: String, tensors: [StoredTensor]) throws {
    var positions = [String: Int](minimumCapacity: tensors.count)
    for (position, tensor) in tensors.enumerated() {
      guard positions.updateValue(position, forKey: tensor.entry.name) == nil else {
        throw Failure(.badContent, "\(path.quoted) has two tensors named \(tensor.entry.name.quoted)")
      }
    }
    self.path = path
    self.tensors = tensors
    self.positions = positions
  }

  /// What it holds, in the order of the file.
  package var entries: [TensorEntry] { tensors.map(\.entry) }

  /// What is known about a tensor, or nil when there is none of that name.
  package func entry(named name: String) -> TensorEntry? {
    positions[name].map { tensors[$0].entry }
  }

  /// The entry of a tensor that has to be there, in floating point and with a given shape.
  /// - Throws: `Failure(.badContent)` naming the tensor, what was expected and what was found.
  @discardableResult
  package func weight(named name: String, shape: [Int]) throws -> TensorEntry {
    let entry = try weight(name).entry
    guard entry.shape == shape else {
      throw Failure(
        .badContent,
        "\(path.quoted): the tensor \(name.quoted) has the shape \(entry.shape), but \(shape) was expected")
    }
    return entry
  }

  /// The same archive with each tensor under the name that `name` gives it; nil leaves it out.
  /// - Throws: `Failure(.badContent)` when two tensors would get the same name.
  package func renaming(_ name: (String) -> String?) throws -> TensorArchive {
    var oldNames = [String: String](minimumCapacity: tensors.count)
    let renamed = try tensors.compactMap { tensor -> StoredTensor? in
      let oldName = tensor.entry.name
      guard let newName = name(oldName) else { return nil }
      if let other = oldNames.updateValue(oldName, forKey: newName) {
        throw Failure(
          .badContent,
          "\(path.quoted) has both \(other.quoted) and \(oldName.quoted), two names of the same tensor")
      }
      return tensor.renamed(newName)
    }
    return try TensorArchive(path: path, tensors: renamed)
  }

  /// The tensors of several files as one archive.
  /// - Throws: `Failure(.badContent)` when two tensors have the same name.
  static func joining(_ archives: [TensorArchive], path: String) throws -> TensorArchive {
    try TensorArchive(path: path, tensors: archives.flatMap(\.tensors))
  }
}

// MARK: Reading numbers

extension TensorArchive {
  /// Reads a tensor as `Float`: F16 and BF16 exactly, F64 to the nearest.
  /// - Parameters:
  ///   - name: A tensor of the archive.
  ///   - destination: As many numbers as the tensor has, in row-major order.
  /// - Throws: `Failure(.badContent)` when there is no such tensor, when it holds whole numbers, and when the
  ///   file is damaged.
  package func read(_ name: String, into destination: UnsafeMutableBufferPointer<Float>) throws {
    let tensor = try weight(name)
    precondition(
      destination.count == tensor.entry.elementCount, "the destination must have the tensor's size")
    if tensor.entry.element == .float32, tensor.strides == nil {
      try tensor.file.read(at: tensor.offset, into: UnsafeMutableRawBufferPointer(destination))
    } else {
      try tensor.forEachPiece { raw, start in
        raw.convertWeights(tensor.entry.element, to: destination, at: start)
      }
    }
  }

  /// A tensor as an array of `Float` in row-major order; see ``read(_:into:)``.
  /// - Throws: As ``read(_:into:)``.
  package func floats(_ name: String) throws -> [Float] {
    let count = try weight(name).entry.elementCount
    return try [Float](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      buffer.initialize(repeating: 0)
      try read(name, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      initializedCount = count
    }
  }

  /// A tensor as an array of `Double` in row-major order, exactly.
  /// - Throws: As ``read(_:into:)``.
  package func doubles(_ name: String) throws -> [Double] {
    let tensor = try weight(name)
    var numbers = [Double](repeating: 0, count: tensor.entry.elementCount)
    try numbers.withUnsafeMutableBufferPointer { destination in
      try tensor.forEachPiece { raw, start in
        raw.convertWeights(tensor.entry.element, to: destination, at: start)
      }
    }
    return numbers
  }

  /// A tensor of whole numbers or truth values, in row-major order; eight bytes a number, so for small
  /// tensors.
  /// - Throws: `Failure(.badContent)` when there is no such tensor, when it holds no whole numbers or one
  ///   beyond `Int64`, and when the file is damaged.
  package func integers(_ name: String) throws -> [Int64] {
    let tensor = try tensor(name)
    guard tensor.entry.element.isInteger else {
      throw Failure(
        .badContent,
        "\(path.quoted): the tensor \(name.quoted) holds \(tensor.entry.element.rawValue), not whole numbers")
    }
    var numbers: [Int64] = []
    numbers.reserveCapacity(tensor.entry.elementCount)
    try tensor.forEachPiece { raw, _ in
      guard raw.appendIntegers(tensor.entry.element, to: &numbers) else {
        throw Failure(.badContent, "\(path.quoted): the tensor \(name.quoted) has a number beyond Int64")
      }
    }
    return numbers
  }

  private func tensor(_ name: String) throws -> StoredTensor {
    guard let position = positions[name] else {
      throw Failure(.badContent, "\(path.quoted) has no tensor \(name.quoted)")
    }
    return tensors[position]
  }

  private func weight(_ name: String) throws -> StoredTensor {
    let tensor = try tensor(name)
    guard tensor.entry.element.isWeight else {
      throw Failure(
        .badContent,
        """
        \(path.quoted): the tensor \(name.quoted) holds \(tensor.entry.element.rawValue); \
        weights must be F32, F16, BF16 or F64
        """)
    }
    return tensor
  }
}
