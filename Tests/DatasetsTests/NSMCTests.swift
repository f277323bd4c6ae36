import Datasets
import Foundation
import Testing

/// On the 150,000 + 50,000 reviews of the shared folder, when there is one.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["BERT_DDP_SHARED"] != nil))
struct NSMCTests {
  static func path(_ file: String) -> String {
    (ProcessInfo.processInfo.environment["BERT_DDP_SHARED"] ?? "") + "/nsmc/" + file
  }

  /// Figures counted independently, by a Python set of the lines' second fields.
  @Test func theReportHasTheKnownFigures() throws {
    let training = try Dataset.labelled(path: Self.path("ratings_train.txt"))
    let test = try Dataset.labelled(path: Self.path("ratings_test.txt"))
    let (report, isInTraining) = DatasetReport.examine(training: training, test: test)
    #expect(report.training.rows == 150_000 && report.test?.rows == 50_000)
    #expect(report.training.classCounts == [74_971, 75_029] && report.test?.classCounts == [25_029, 24_971])
    #expect(report.training.duplicates == 3847)
    #expect(report.testRowsInTraining == 1626 && isInTraining.count { $0 } == 1626)
    #expect(report.training.emptyTexts == 0)
  }

  @Test func everyUnlabelledLineIsARow() throws {
    #expect(try Dataset.unlabelled(path: Self.path("reviews_unlabelled.txt")).count == 639_297)
  }
}
