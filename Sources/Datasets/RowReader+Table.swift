internal import Failures

/// Where in a table the wanted columns stand.
private struct TableLayout {
  let columnCount: Int
  let text: Int
  let textPair: Int?
  let label: Int?
  let identifier: Int?
}

extension RowReader {
  /// Tab-separated values with a header. Quotes are text; nothing is escaped.
  func readTable(_ bytes: [UInt8]) throws -> Dataset {
    try checkUTF8(bytes)
    let rows = try bytes.withUnsafeBufferPointer { bytes in
      var scanner = LineScanner(bytes, name: name)
      guard let header = try scanner.next() else {
        throw Failure(.badContent, "\(name) is empty; expected a header and one review per line.")
      }
      let layout = try layout(bytes, header)
      var rows = RowColumns(
        hasTextPairs: layout.textPair != nil, hasIdentifiers: layout.identifier != nil, isLabelled: layout.label != nil)
      try reserve(&rows, for: bytes)
      while let line = try scanner.next() {
        if line.isEmpty && layout.columnCount > 1 && scanner.onlyEmptyLinesFollow { break }
        try readRow(bytes, line, number: scanner.line, layout, into: &rows)
      }
      return rows
    }
    return rows.dataset(name: name, bytes: bytes, lines: .consecutive(from: 2))
  }

  private func readRow(
    _ bytes: UnsafeBufferPointer<UInt8>, _ line: Range<Int>, number: Int, _ layout: TableLayout,
    into rows: inout RowColumns
  ) throws {
    var start = line.lowerBound
    for column in 0..<layout.columnCount {
      let tab = bytes.firstIndex(of: UInt8(ascii: "\t"), in: start..<line.upperBound)
      guard (tab == nil) == (column == layout.columnCount - 1) else {
        throw wrongFieldCount(bytes, line, number: number, layout)
      }
      let field = start..<(tab ?? line.upperBound)
      if column == layout.text { rows.texts.append(field) }
      if column == layout.textPair { rows.textPairs?.append(field) }
      if column == layout.identifier { rows.identifiers?.append(field) }
      if column == layout.label, let classCount {
        rows.labels.append(try label(bytes, field, classCount: classCount, line: number))
      }
      start = field.upperBound + 1
    }
  }

  private func wrongFieldCount(
    _ bytes: UnsafeBufferPointer<UInt8>, _ line: Range<Int>, number: Int, _ layout: TableLayout
  ) -> Failure {
    let found = 1 + bytes[line].count { $0 == UInt8(ascii: "\t") }
    let hint =
      found > layout.columnCount ? "; a tab inside a text cannot be told from the end of a column" : ""
    return failure(
      line: number,
      "found \(found) field\(found == 1 ? "" : "s"), expected \(layout.columnCount) separated by tabs as in the header"
        + "\(hint).")
  }

  private func layout(_ bytes: UnsafeBufferPointer<UInt8>, _ header: Range<Int>) throws -> TableLayout {
    var fields: [Range<Int>] = []
    var start = header.lowerBound
    while let tab = bytes.firstIndex(of: UInt8(ascii: "\t"), in: start..<header.upperBound) {
      fields.append(start..<tab)
      // Each takes more memory than its tab.
      guard fields.count < 100_000 else {
        throw failure(line: 1, "the header has more than 100,000 columns; expected the names of some.")
      }
      start = tab + 1
    }
    fields.append(start..<header.upperBound)

    func column(_ wanted: String, option: String) throws -> Int {
      let matches = fields.indices.filter { bytes.holds(Array(wanted.utf8), at: fields[$0]) }
      guard let first = matches.first else {
        throw missingColumn(wanted, option: option, names: fields.map { bytes.quoted($0) })
      }
      guard matches.count == 1 else { throw failure(line: 1, "the header names column \(wanted) twice.") }
      return first
    }
    return TableLayout(
      columnCount: fields.count,
      text: try column(columns.text, option: "--text-column"),
      textPair: try columns.textPair.map { try column($0, option: "--text-pair-column") },
      label: classCount == nil ? nil : try column(columns.label, option: "--label-column"),
      identifier: columns.identifier.flatMap { wanted in
        fields.firstIndex { bytes.holds(Array(wanted.utf8), at: $0) }
      })
  }

  private func missingColumn(_ wanted: String, option: String, names: [String]) -> Failure {
    let shown = names.prefix(20).joined(separator: ", ") + (names.count > 20 ? ", …" : "")
    let hint =
      names.count == 1
      ? "columns must be separated by tabs" : "choose one of them with \(option)"
    return failure(line: 1, "there is no column \"\(wanted)\"; the header names \(shown); \(hint).")
  }
}
