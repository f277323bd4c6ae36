/// The numbers of parameters that are kept in bfloat16. Memory is the caller's.
package struct RoundedBlocks: @unchecked Sendable {
  /// The frozen ones, `table.roundedCount` numbers; every reader of a node may share them.
  package let frozen: UnsafeMutablePointer<BFloat16>
  /// Copies of the trained ones, in the layout of the trainable block; only what products read is there.
  package let trainable: UnsafeMutablePointer<BFloat16>

  /// Blocks in memory that somebody else owns.
  package init(frozen: UnsafeMutablePointer<BFloat16>, trainable: UnsafeMutablePointer<BFloat16>) {
    self.frozen = frozen
    self.trainable = trainable
  }
}

extension ParameterStore {
  /// The view of a parameter whose precision is bfloat16.
  package func rounded(_ parameter: Parameter) -> RoundedMatrix {
    guard parameter.precision == .bf16, let rounded else {
      preconditionFailure("a parameter that is not kept in bfloat16")
    }
    let block = parameter.isTrainable ? rounded.trainable : rounded.frozen
    return RoundedMatrix(block + parameter.offset, rows: parameter.rows, columns: parameter.columns)
  }

  /// Copies some rows of a parameter, whatever it is kept in: the numbers that products see.
  package func copyRows(_ range: Range<Int>, of parameter: Parameter, into values: Matrix) {
    if parameter.precision == .bf16 {
      values.expand(from: rounded(parameter).rows(range))
    } else {
      values.copy(from: self[parameter].rows(range))
    }
  }

  /// Lets a parameter be read as floats; those of one that is kept in bfloat16 alone are made for the while.
  package func withElements<Result>(
    _ parameter: Parameter, _ read: (UnsafeBufferPointer<Float>) throws -> Result
  ) rethrows -> Result {
    guard parameter.isOnlyRounded else {
      return try read(UnsafeBufferPointer(start: self[parameter].base, count: parameter.count))
    }
    let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: parameter.count)
    defer { memory.deallocate() }
    if let base = memory.baseAddress {
      copyRows(
        0..<parameter.rows, of: parameter, into: Matrix(base, rows: parameter.rows, columns: parameter.columns))
    }
    return try read(UnsafeBufferPointer(memory))
  }

  /// Lets a parameter be written as floats, which are rounded once where it is kept in bfloat16 alone.
  /// - Parameters:
  ///   - parameter: What is written.
  ///   - write: Gets a view of all its elements, whose content is undefined in that case.
  package func write(_ parameter: Parameter, _ write: (Matrix) throws -> Void) rethrows {
    guard parameter.isOnlyRounded else { return try write(self[parameter]) }
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: parameter.count)
    defer { memory.deallocate() }
    let view = Matrix(memory, rows: parameter.rows, columns: parameter.columns)
    try write(view)
    rounded(parameter).round(from: view)
  }

  /// Rounds what is trained in bfloat16 again, when its floats have changed.
  /// - Parameter part: The part of the trainable block that may have changed; all of it when left out.
  package func refreshRounded(_ part: Range<Int>? = nil) {
    for group in table.groups {
      refreshRounded(group.range.clamped(to: part ?? 0..<table.trainableCount), of: group)
    }
  }

  /// The same for a part of a group.
  @inlinable
  package func refreshRounded(_ range: Range<Int>, of group: ParameterTable.Group) {
    guard group.precision == .bf16, let rounded else { return }
    round(trainable + range.lowerBound, to: rounded.trainable + range.lowerBound, range.count)
  }
}
