import Metrics
import Testing

func isClose(_ a: Double, _ b: Double, relative: Double = 1e-14) -> Bool {
  abs(a - b) <= relative * max(abs(a), abs(b))
}

@Suite struct ConfusionMatrixTests {
  /// Truths 1 1 1 1 1 0 0 0 0 0, predictions 1 1 1 0 0 1 0 0 0 0.
  @Test func binaryFiguresAreThoseOfClassOne() {
    var matrix = ConfusionMatrix(classCount: 2)
    for (truth, prediction) in zip([1, 1, 1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]) {
      matrix.add(truth: truth, prediction: prediction)
    }
    #expect(matrix == ConfusionMatrix(rows: [[4, 1], [2, 3]]))
    #expect(matrix.total == 10 && matrix.correct == 7)
    #expect(matrix.accuracy == 0.7)
    #expect(matrix.precision == 3.0 / 4)
    #expect(matrix.recall == 3.0 / 5)
    // 2 · (3/4) · (3/5) / (3/4 + 3/5) = 2/3
    #expect(isClose(matrix.f1, 2.0 / 3))
    #expect(matrix.precision(of: 0) == 4.0 / 6 && matrix.recall(of: 0) == 4.0 / 5)
  }

  /// Precision 2/3, 2/3, 3/4; recall 2/4, 2/3, 3/3; F1 4/7, 4/6, 6/7: by hand from the columns and rows.
  @Test func figuresOfThreeClassesAreMeansOverClasses() {
    let matrix = ConfusionMatrix(rows: [[2, 1, 1], [1, 2, 0], [0, 0, 3]])
    #expect(matrix.total == 10 && matrix.accuracy == 0.7)
    #expect(matrix.support(of: 0) == 4 && matrix.predicted(as: 1) == 3)
    let precisions: [Double] = [2.0 / 3, 2.0 / 3, 3.0 / 4]
    let recalls: [Double] = [2.0 / 4, 2.0 / 3, 3.0 / 3]
    let f1s: [Double] = [4.0 / 7, 4.0 / 6, 6.0 / 7]
    #expect(isClose(matrix.precision, precisions.reduce(0, +) / 3))
    #expect(isClose(matrix.recall, recalls.reduce(0, +) / 3))
    #expect(isClose(matrix.f1, f1s.reduce(0, +) / 3))
  }

  /// A class that occurs nowhere does not count, one that is only true or only predicted counts as 0: scikit-learn's
  /// default labels with `zero_division=0`.
  @Test func absentClassesDoNotCountInTheMean() {
    let matrix = ConfusionMatrix(rows: [[3, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    // Class 0: precision and recall 3/4; classes 1 and 2: 0; class 3: nowhere.
    for figure in [matrix.precision, matrix.recall, matrix.f1] { #expect(isClose(figure, 0.25)) }
  }

  @Test(arguments: [2, 3]) func nothingDividesByZero(_ classCount: Int) {
    let matrix = ConfusionMatrix(classCount: classCount)
    #expect([matrix.accuracy, matrix.precision, matrix.recall, matrix.f1] == [0, 0, 0, 0])
    let allNegative = ConfusionMatrix(rows: [[5, 0], [5, 0]])
    #expect(allNegative.accuracy == 0.5)
    #expect([allNegative.precision, allNegative.recall, allNegative.f1] == [0, 0, 0])
  }

  @Test func rowsComeBack() {
    let rows = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    #expect(ConfusionMatrix(rows: rows).rows == rows)
    #expect(ConfusionMatrix(rows: rows)[truth: 1, prediction: 2] == 6)
  }

  @Test func aClassOutOfRangeIsRefused() async {
    await #expect(processExitsWith: .failure) {
      var matrix = ConfusionMatrix(classCount: 2)
      matrix.add(truth: 0, prediction: 2)
    }
  }
}
