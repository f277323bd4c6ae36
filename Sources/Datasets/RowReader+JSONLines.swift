internal import Failures

/// The keys that are looked for, as bytes.
private struct WantedKeys {
  let text: [UInt8]
  let textPair: [UInt8]?
  let label: [UInt8]?
  let identifier: [UInt8]?
}

/// Where the values of one line are.
private struct LineValues {
  var text: Range<Int>?
  var textPair: Range<Int>?
  var label: Range<Int>?
  var identifier: Range<Int>?
  /// The first keys of the line, to be named when one is missing.
  var keys: [Range<Int>] = []

  mutating func removeAll() {
    (text, textPair, label, identifier) = (nil, nil, nil, nil)
    keys.removeAll(keepingCapacity: true)
  }
}

extension RowReader {
  /// One JSON object per line; empty lines are passed over, or empty texts (`keepsBlankLines`). A label is a whole number, or one in quotes. Of a key that
  /// occurs twice the last value counts, as in most readers.
  func readJSONLines(_ bytes: consuming [UInt8]) throws -> Dataset {
    try checkUTF8(bytes)
    // Strings are decoded in place.
    let (rows, lines) = try bytes.withUnsafeMutableBufferPointer { try readObjects($0) }
    return rows.dataset(name: name, bytes: bytes, lines: lines)
  }

  private func readObjects(_ bytes: UnsafeMutableBufferPointer<UInt8>) throws -> (RowColumns, LineNumbers) {
    let wanted = WantedKeys(
      text: Array(columns.text.utf8), textPair: columns.textPair.map { Array($0.utf8) },
      label: classCount == nil ? nil : Array(columns.label.utf8),
      identifier: columns.identifier.map { Array($0.utf8) })
    let constant = UnsafeBufferPointer(bytes)
    var rows = RowColumns(
      hasTextPairs: wanted.textPair != nil, hasIdentifiers: wanted.identifier != nil, isLabelled: wanted.label != nil)
    try reserve(&rows, for: constant)
    var values = LineValues()
    var lines: [Int] = []  // only filled once an empty line has been passed over
    var scanner = LineScanner(constant, name: name)
    while let line = try scanner.next() {
      if line.allSatisfy({ constant[$0] == 0x20 || constant[$0] == 0x09 }) {
        guard keepsBlankLines else { continue }
        rows.appendEmpty()
        continue
      }
      do {
        try readObject(bytes, line, wanted, into: &values)
      } catch let fault {
        throw Failure(
          .badContent,
          "\(name):\(scanner.line):\(fault.position - line.lowerBound + 1): found \(fault.message).")
      }
      if lines.isEmpty && scanner.line != rows.texts.count + 1 { lines = Array(1..<rows.texts.count + 1) }
      if !lines.isEmpty || scanner.line != rows.texts.count + 1 { lines.append(scanner.line) }
      try append(values, bytes: constant, number: scanner.line, wanted, to: &rows)
    }
    return (rows, lines.isEmpty ? .consecutive(from: 1) : .listed(lines))
  }

  private func readObject(
    _ bytes: UnsafeMutableBufferPointer<UInt8>, _ line: Range<Int>, _ wanted: WantedKeys,
    into values: inout LineValues
  ) throws(JSONFault) {
    values.removeAll()
    var scanner = JSONLineScanner(bytes, range: line)
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      let holds = { (name: [UInt8]?) in name.map { UnsafeBufferPointer(bytes).holds($0, at: key) } ?? false }
      if values.keys.count < 20 { values.keys.append(key) }
      if holds(wanted.text) {
        values.text = try scanner.string("a string as the value of \"\(columns.text)\"")
      } else if holds(wanted.textPair) {
        values.textPair = try scanner.string("a string as the value of the second text")
      } else if holds(wanted.label) {
        values.label = try scanner.scalar("a whole number as the label")
      } else if holds(wanted.identifier) {
        values.identifier = try scanner.scalar("a number or a string as the identifier")
      } else {
        try scanner.skipValue()
      }
    }
  }

  private func append(
    _ values: LineValues, bytes: UnsafeBufferPointer<UInt8>, number: Int, _ wanted: WantedKeys,
    to rows: inout RowColumns
  ) throws {
    func require(_ value: Range<Int>?, _ key: String, _ option: String) throws -> Range<Int> {
      if let value { return value }
      let names = values.keys.map { bytes.quoted($0) }.joined(separator: ", ")
      let found = names.isEmpty ? "there are none" : "there are \(names); choose one of them with \(option)"
      throw failure(line: number, "there is no key \"\(key)\"; \(found).")
    }
    rows.texts.append(try require(values.text, columns.text, "--text-column"))
    if let name = columns.textPair {
      rows.textPairs?.append(try require(values.textPair, name, "--text-pair-column"))
    }
    if wanted.identifier != nil { rows.identifiers?.append(values.identifier ?? 0..<0) }
    if let classCount {
      let range = try require(values.label, columns.label, "--label-column")
      rows.labels.append(try label(bytes, range, classCount: classCount, line: number))
    }
  }
}
