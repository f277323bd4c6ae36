extension ParameterStore {
  /// The transposed copy of a frozen matrix, `[columns, rows]`; nil where there is none.
  package func transposed(_ parameter: Parameter) -> Matrix? {
    guard let place = parameter.transpose, let transposes else { return nil }
    return Matrix(
      transposes + place.offset, rows: parameter.columns, columns: parameter.rows, stride: place.stride)
  }

  /// Writes the transposed copies, when what is frozen has its numbers.
  package func writeTransposes() {
    for entry in table.entries {
      guard let copy = transposed(entry.parameter) else { continue }
      let original = self[entry.parameter]
      // In tiles, so that what is written stays in the nearest cache until its lines are full.
      for firstRow in stride(from: 0, to: original.rows, by: 16) {
        for firstColumn in stride(from: 0, to: original.columns, by: 16) {
          for column in firstColumn..<min(firstColumn + 16, original.columns) {
            for row in firstRow..<min(firstRow + 16, original.rows) {
              copy.row(column)[row] = original.row(row)[column]
            }
          }
        }
      }
    }
  }
}
