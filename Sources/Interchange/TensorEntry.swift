/// What a file says about one of its tensors: name, element type and shape.
package struct TensorEntry: Equatable, Sendable {
  /// The published name, such as `bert.encoder.layer.0.attention.self.query.weight`.
  package let name: String
  /// How its numbers are encoded in the file.
  package let element: TensorElement
  /// Sizes, outermost first; empty for a scalar.
  package let shape: [Int]
  /// How many numbers it has: the product of the shape.
  package let elementCount: Int

  /// Most dimensions that are accepted; BERT has two, the odd adapter three.
  static let maximumDimensions = 16

  /// An entry whose size fits in memory's address range; nil when a size is negative or the product
  /// overflows.
  package init?(checking name: String, element: TensorElement, shape: [Int]) {
    guard let count = TensorEntry.product(shape),
      !count.multipliedReportingOverflow(by: 8).overflow
    else { return nil }
    self.name = name
    self.element = element
    self.shape = shape
    elementCount = count
  }

  /// An entry for a tensor of ours.
  package init(name: String, element: TensorElement = .float32, shape: [Int]) {
    guard let entry = TensorEntry(checking: name, element: element, shape: shape) else {
      preconditionFailure("the shape of a tensor must be made of sizes whose product fits in an Int")
    }
    self = entry
  }

  /// Bytes of its numbers, stored without gaps.
  package var byteCount: Int { elementCount * element.byteCount }

  /// The same tensor under another name.
  func renamed(_ name: String) -> TensorEntry {
    TensorEntry(name: name, element: element, shape: shape)
  }

  /// The product of sizes; nil when one is negative or the product overflows.
  private static func product(_ sizes: [Int]) -> Int? {
    var product = 1
    for size in sizes {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard size >= 0, !overflow else { return nil }
      product = next
    }
    return product
  }
}
