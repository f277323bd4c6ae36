internal import Glibc
internal import Randomness

/// The numbers of the two parameter blocks. Memory is the caller's: a shared window, an allocation.
package struct ParameterStore: @unchecked Sendable {
  /// What lies where.
  package let table: ParameterTable
  /// The frozen block; every reader of a node may share it.
  package let frozen: UnsafeMutablePointer<Float>
  /// The trainable block.
  package let trainable: UnsafeMutablePointer<Float>

  /// What is kept in bfloat16; nil when nothing is.
  package let rounded: RoundedBlocks?
  /// Transposed copies of frozen matrices, `table.transposeBytes`; nil where there are none.
  package let transposes: UnsafeMutableRawPointer?

  /// A store over memory of `table.frozenCount` and `table.trainableCount` floats, and what its parameters need in
  /// bfloat16.
  package init(
    table: ParameterTable, frozen: UnsafeMutablePointer<Float>, trainable: UnsafeMutablePointer<Float>,
    rounded: RoundedBlocks? = nil, transposes: UnsafeMutableRawPointer? = nil
  ) {
    self.table = table
    self.frozen = frozen
    self.trainable = trainable
    self.rounded = rounded
    self.transposes = transposes
  }

  /// The view of a parameter that has floats.
  @inlinable
  package subscript(parameter: Parameter) -> Matrix {
    precondition(!parameter.isOnlyRounded, "a parameter that is kept in bfloat16 alone")
    let block = parameter.isTrainable ? trainable : frozen
    return Matrix(block + parameter.offset, rows: parameter.rows, columns: parameter.columns)
  }

  /// The view of a parameter by its name.
  package subscript(name: String) -> Matrix { self[table[name]] }

  /// The elements of a parameter by its name.
  package func elements(_ name: String) -> UnsafeMutableBufferPointer<Float> {
    let view = self[name]
    return UnsafeMutableBufferPointer(start: view.base, count: view.rows * view.columns)
  }

  /// Gives a parameter its initial values: a function of (seed, its name), the same on every rank.
  package func initialize(_ entry: ParameterTable.Entry, seed: UInt32) {
    write(entry.parameter) { fill($0, entry, seed: seed) }
  }

  /// Writes a parameter's initial values to a matrix of its shape.
  package func fill(_ view: Matrix, _ entry: ParameterTable.Entry, seed: UInt32) {
    let generator = Philox(seed: seed, purpose: .initialization)
    let key = fnv1a(entry.specification.name)
    switch entry.specification.initializer {
    case .constant(let value): view.fill(value)
    case .uniform(let bound):
      fillWords(view, generator, key) { bound * (2 * Philox.uniform($0) - 1) }
    case .normal(let deviation, let zeroRow):
      fillNormal(view, generator, key, deviation)
      if let zeroRow, zeroRow < view.rows { view.rows(zeroRow..<zeroRow + 1).fill(0) }
    case .diagonal(let on, let off):
      view.fill(off)
      for i in 0..<min(view.rows, view.columns) { view.row(i)[i] = on }
    }
  }
}

/// A 32-bit hash of a name (Fowler, Noll, Vo, variant 1a), part of the counter of its initial values.
private func fnv1a(_ name: String) -> UInt32 {
  name.utf8.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
}

private func fillWords(_ view: Matrix, _ generator: Philox, _ key: UInt32, _ value: (UInt32) -> Float) {
  let count = view.rows * view.columns
  var i = 0
  while i < count {
    let w = generator.words(UInt32(truncatingIfNeeded: i / 4), UInt32(truncatingIfNeeded: (i / 4) >> 32), key)
    for word in [w.0, w.1, w.2, w.3] where i < count {
      view.base[i] = value(word)
      i += 1
    }
  }
}

/// Box and Muller's transform, in `Double`.
private func fillNormal(_ view: Matrix, _ generator: Philox, _ key: UInt32, _ deviation: Float) {
  let count = view.rows * view.columns
  var i = 0
  while i < count {
    let w = generator.words(UInt32(truncatingIfNeeded: i / 4), UInt32(truncatingIfNeeded: (i / 4) >> 32), key)
    for pair in [(w.0, w.1), (w.2, w.3)] {
      let radius = (-2 * log((Double(pair.0) + 0.5) * 0x1p-32)).squareRoot()
      let angle = 2 * Double.pi * Double(pair.1) * 0x1p-32
      for value in [radius * cos(angle), radius * sin(angle)] where i < count {
        view.base[i] = deviation * Float(value)
        i += 1
      }
    }
  }
}
