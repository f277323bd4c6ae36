internal import Failures

extension Dataset {
  /// Reads a labelled file: tab-separated values with a header, or JSON lines.
  ///
  /// `.jsonl`, `.ndjson` and `.json` are JSON lines and `.tsv` is a table; any other file is JSON lines when its first
  /// byte is `{`. In a table quotes are text. `\r\n`, a byte order mark and a missing last line end are accepted, empty
  /// texts are rows. Memory: the file's size, and 16 bytes a row (12 more for each further column).
  ///
  /// - Parameters:
  ///   - path: The file; `-` is standard input.
  ///   - columns: What the columns are called.
  ///   - classCount: Labels are whole numbers from 0 up to, not including, this.
  ///   - option: The option that names the file, for a message.
  /// - Returns: At least one row.
  /// - Throws: `Failure(.noInput)` when the file cannot be read, `Failure(.badContent)` with the file, line and what was
  ///   expected when its content is not as described.
  package static func labelled(
    path: String, columns: ColumnNames = ColumnNames(), classCount: Int = 2, option: String? = nil
  ) throws -> Dataset {
    let bytes = try fileContents(of: path, option: option)
    return try labelled(bytes: bytes, name: displayName(path), columns: columns, classCount: classCount)
  }

  /// The same from bytes in memory; the name's extension counts as the file's would.
  package static func labelled(
    bytes: consuming [UInt8], name: String, columns: ColumnNames = ColumnNames(), classCount: Int = 2
  ) throws -> Dataset {
    precondition(classCount > 0 && classCount <= Int(Int32.max), "the number of classes must be positive")
    guard !bytes.isEmpty else {
      throw Failure(.badContent, "\(name) is empty; expected a header and one labelled review per line.")
    }
    let reader = RowReader(name: name, columns: columns, classCount: classCount)
    let dataset: Dataset
    switch try FileFormat.detect(bytes, name: name, columns: columns, plainTextAllowed: false) {
    case .jsonLines: dataset = try reader.readJSONLines(bytes)
    case .table, .plainText: dataset = try reader.readTable(bytes)
    }
    guard dataset.count > 0 else {
      throw Failure(.badContent, "\(name) has no reviews; expected one labelled review per line.")
    }
    return dataset
  }

  /// Reads texts without labels: one per line, every line a row; or a table or JSON lines that have the text column.
  ///
  /// A file is a table when it ends in `.tsv` or its first line names the text column, and JSON lines when it ends in
  /// `.jsonl`, `.ndjson` or `.json` or its first line is a JSON object with the text key. Labels are ignored. An empty
  /// file gives no rows.
  ///
  /// - Parameters:
  ///   - path: The file; `-` is standard input.
  ///   - columns: What the columns are called.
  ///   - option: The option that names the file, for a message.
  /// - Returns: The rows, in the order of the file.
  /// - Throws: As `labelled(path:columns:classCount:)`.
  package static func unlabelled(
    path: String, columns: ColumnNames = ColumnNames(), option: String? = nil
  ) throws -> Dataset {
    let bytes = try fileContents(of: path, option: option)
    return try unlabelled(bytes: bytes, name: displayName(path), columns: columns)
  }

  /// The same from bytes in memory; the name's extension counts as the file's would.
  ///
  /// With `keepsBlankLines` a blank line among JSON lines is an empty text, as it is among plain ones, so that every
  /// line has an answer.
  package static func unlabelled(
    bytes: consuming [UInt8], name: String, columns: ColumnNames = ColumnNames(), keepsBlankLines: Bool = false
  ) throws -> Dataset {
    var reader = RowReader(name: name, columns: columns, classCount: nil)
    reader.keepsBlankLines = keepsBlankLines
    guard !bytes.isEmpty else { return try reader.readPlainText(bytes) }
    switch try FileFormat.detect(bytes, name: name, columns: columns, plainTextAllowed: true) {
    case .jsonLines: return try reader.readJSONLines(bytes)
    case .table: return try reader.readTable(bytes)
    case .plainText: return try reader.readPlainText(bytes)
    }
  }

  private static func displayName(_ path: String) -> String { path == "-" ? "standard input" : path }
}

/// How a file is written down.
enum FileFormat {
  case table
  case jsonLines
  case plainText

  /// The format, from the name's extension, or from the first line.
  static func detect(
    _ bytes: [UInt8], name: String, columns: ColumnNames, plainTextAllowed: Bool
  ) throws -> FileFormat {
    // What is wrong with a table of commas the reader of tables says.
    if [".tsv", ".csv"].contains(where: name.hasSuffix) { return .table }
    if [".jsonl", ".ndjson", ".json"].contains(where: name.hasSuffix) { return .jsonLines }
    return try bytes.withUnsafeBufferPointer { bytes in
      var scanner = LineScanner(bytes, name: name)
      guard let line = try scanner.next() else { return plainTextAllowed ? .plainText : .table }
      let looksLikeJSON = !line.isEmpty && bytes[line.lowerBound] == UInt8(ascii: "{")
      guard plainTextAllowed else { return looksLikeJSON ? .jsonLines : .table }
      if looksLikeJSON && hasKey(columns.text, bytes: bytes, line: line) { return .jsonLines }
      let names = bytes[line].split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
      if names.contains(where: { $0.elementsEqual(columns.text.utf8) }) { return .table }
      // Second texts cannot come from plain lines; the table's reader says what is missing.
      return columns.textPair == nil ? .plainText : .table
    }
  }

  private static func hasKey(_ key: String, bytes: UnsafeBufferPointer<UInt8>, line: Range<Int>) -> Bool {
    // A copy, because scanning a string decodes it in place.
    var copy = Array(bytes[line])
    return copy.withUnsafeMutableBufferPointer { copy in
      var scanner = JSONLineScanner(copy, range: 0..<copy.count)
      do {
        try scanner.beginObject()
        while let found = try scanner.nextKey() {
          if copy[found].elementsEqual(key.utf8) { return true }
          try scanner.skipValue()
        }
      } catch {}
      return false
    }
  }
}
