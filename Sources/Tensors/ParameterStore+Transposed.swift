extension ParameterStore {
  /// The transposed copy of a frozen matrix of floats, `[columns, rows]`; nil where there is none.
  package func transposed(_ parameter: Parameter) -> Matrix? {
    parameter.precision == .fp32 ? copy(of: parameter) : nil
  }

  /// The same of a matrix that is kept in bfloat16.
  package func roundedTransposed(_ parameter: Parameter) -> RoundedMatrix? {
    parameter.precision == .bf16 ? copy(of: parameter) : nil
  }

  private func copy<Element: BitwiseCopyable>(of parameter: Parameter) -> MatrixView<Element>? {
    guard let place = parameter.transpose, let transposes else { return nil }
    let first = (transposes + place.offset).assumingMemoryBound(to: Element.self)
    return MatrixView(first, rows: parameter.columns, columns: parameter.rows, stride: place.stride)
  }

  /// Writes the transposed copies, when what is frozen has its numbers.
  package func writeTransposes() {
    for entry in table.entries {
      let parameter = entry.parameter
      if let copy = transposed(parameter) { write(self[parameter], transposedInto: copy) }
      if let copy = roundedTransposed(parameter) { write(rounded(parameter), transposedInto: copy) }
    }
  }

  /// In tiles, so that what is written stays in the nearest cache until its lines are full.
  private func write<Element>(_ matrix: MatrixView<Element>, transposedInto copy: MatrixView<Element>) {
    for firstRow in stride(from: 0, to: matrix.rows, by: 16) {
      for firstColumn in stride(from: 0, to: matrix.columns, by: 16) {
        for column in firstColumn..<min(firstColumn + 16, matrix.columns) {
          for row in firstRow..<min(firstRow + 16, matrix.rows) { copy.row(column)[row] = matrix.row(row)[column] }
        }
      }
    }
  }
}
