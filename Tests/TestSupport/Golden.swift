internal import Failures
internal import Interchange

/// One tensor of a golden file.
package struct GoldenTensor: Sendable {
  /// Sizes, outermost first.
  package let shape: [Int]
  /// The numbers in row-major order, as `Float`; empty for a tensor of whole numbers.
  package let floats: [Float]
  /// The numbers as stored, without rounding; empty for a tensor of whole numbers.
  package let doubles: [Double]
  /// The numbers of a tensor of whole numbers or truth values; empty for others.
  package let integers: [Int]
}

/// The tensors of a golden file by name: expected values, computed by the reference libraries.
package struct Golden: Sendable {
  /// All of them.
  package let tensors: [String: GoldenTensor]
  private let path: String

  /// Reads a whole file of tensors.
  /// - Throws: `Failure` when it is missing or damaged.
  package init(opening path: String) throws {
    let archive = try TensorArchive(opening: path)
    var tensors: [String: GoldenTensor] = [:]
    for entry in archive.entries {
      let isInteger = entry.element.isInteger
      tensors[entry.name] = GoldenTensor(
        shape: entry.shape,
        floats: isInteger ? [] : try archive.floats(entry.name),
        doubles: isInteger ? [] : try archive.doubles(entry.name),
        integers: isInteger ? try archive.integers(entry.name).map { Int($0) } : [])
    }
    self.tensors = tensors
    self.path = path
  }

  /// A tensor that has to be there.
  /// - Throws: `Failure(.badContent)` when it is not.
  package func tensor(_ name: String) throws -> GoldenTensor {
    guard let tensor = tensors[name] else { throw Failure(.badContent, "\(path) has no tensor \(name)") }
    return tensor
  }

  /// The numbers of a tensor as `Float`.
  /// - Throws: `Failure(.badContent)` when there is none.
  package func floats(_ name: String) throws -> [Float] { try tensor(name).floats }

  /// The numbers of a tensor as `Double`.
  /// - Throws: `Failure(.badContent)` when there is none.
  package func doubles(_ name: String) throws -> [Double] { try tensor(name).doubles }

  /// The numbers of a tensor of whole numbers.
  /// - Throws: `Failure(.badContent)` when there is none.
  package func integers(_ name: String) throws -> [Int] { try tensor(name).integers }

  /// The sorted names that start with a prefix such as `grad/`, without it.
  package func names(under prefix: String) -> [String] {
    tensors.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.sorted()
  }
}
