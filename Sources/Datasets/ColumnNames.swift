/// What the columns of a table, or the keys of a JSON line, are called.
package struct ColumnNames: Sendable, Equatable {
  /// The column of the text (`--text-column`).
  package var text: String
  /// The column of the second text, for sentence pairs (`--text-pair-column`).
  package var textPair: String?
  /// The column of the label (`--label-column`).
  package var label: String
  /// The column of an identifier to keep, where the file has it.
  package var identifier: String?

  /// Names of columns; the defaults are NSMC's.
  package init(
    text: String = "document", textPair: String? = nil, label: String = "label", identifier: String? = nil
  ) {
    self.text = text
    self.textPair = textPair
    self.label = label
    self.identifier = identifier
  }
}
