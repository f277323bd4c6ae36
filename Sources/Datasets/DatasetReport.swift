/// What is in the data: sizes, classes, empty texts, duplicates, and texts that occur in both training and test.
package struct DatasetReport: Codable, Sendable, Equatable {
  /// The figures of one data set.
  package struct Part: Codable, Sendable, Equatable {
    /// How many rows there are.
    package var rows: Int
    /// How many rows each class has, from class 0; empty without labels.
    package var classCounts: [Int]
    /// Rows whose text is empty or ASCII white space.
    package var emptyTexts: Int
    /// Rows whose text an earlier row has, byte for byte.
    package var duplicates: Int
    /// Those of them whose label differs from that of the first row with the text.
    package var conflictingDuplicates: Int

    enum CodingKeys: String, CodingKey {
      case rows, duplicates
      case classCounts = "class_counts"
      case emptyTexts = "empty_texts"
      case conflictingDuplicates = "conflicting_duplicates"
    }
  }

  /// The training rows.
  package var training: Part
  /// The test rows, when there is a test file.
  package var test: Part?
  /// Test rows whose text also occurs in training, byte for byte.
  package var testRowsInTraining: Int?

  enum CodingKeys: String, CodingKey {
    case training, test
    case testRowsInTraining = "test_rows_in_training"
  }

  /// Looks through the data, and says for each test row whether its text occurs in training.
  ///
  /// - Parameters:
  ///   - training: The rows trained on.
  ///   - test: The rows tested on.
  ///   - classCount: How many classes labels may name.
  /// - Returns: The figures and the mask, one element per test row.
  package static func examine(
    training: Dataset, test: Dataset? = nil, classCount: Int = 2
  ) -> (report: DatasetReport, isInTraining: [Bool]) {
    let index = TextIndex(training)
    let trainingPart = Part(training, index: index, classCount: classCount)
    guard let test else {
      return (DatasetReport(training: trainingPart, test: nil, testRowsInTraining: nil), [])
    }
    let isInTraining = index.occurrences(of: test)
    let report = DatasetReport(
      training: trainingPart, test: Part(test, index: TextIndex(test), classCount: classCount),
      testRowsInTraining: isInTraining.count { $0 })
    return (report, isInTraining)
  }
}

extension DatasetReport.Part {
  /// The figures of a data set with its index.
  package init(_ dataset: Dataset, index: TextIndex, classCount: Int) {
    var counts = [Int](repeating: 0, count: dataset.isLabelled ? classCount : 0)
    for label in dataset.labels { counts[Int(label)] += 1 }
    let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
    self.init(
      rows: dataset.count, classCounts: counts,
      emptyTexts: (0..<dataset.count).count { dataset.withText($0) { $0.allSatisfy(isSpace) } },
      duplicates: index.duplicateCount, conflictingDuplicates: index.conflictingDuplicateCount)
  }
}
