import Datasets
import Testing

@Suite struct DatasetTests {
  static let numbered = Dataset(
    name: "numbered", texts: (0..<1000).map { "review \($0)" }, labels: (0..<1000).map { Int32($0 % 2) })

  static func content(_ dataset: Dataset) -> [UInt8] {
    var bytes: [UInt8] = []
    dataset.hashContent { bytes.append(contentsOf: $0) }
    return bytes
  }

  @Test func contentIsEncodedAsDocumented() {
    let data = Dataset(name: "a", texts: ["가", ""], labels: [1, 0])
    #expect(
      Self.content(data)
        == [2, 0, 0, 0, 0, 0, 0, 0, 0] + [1, 0, 0, 0, 3, 0, 0, 0, 0xEA, 0xB0, 0x80] + [
          0, 0, 0, 0, 0, 0, 0, 0,
        ])
    let pairs = Dataset(name: "a", texts: ["x"], textPairs: ["yz"])
    #expect(
      Self.content(pairs) == [1, 0, 0, 0, 0, 0, 0, 0, 1] + [
        255, 255, 255, 255, 1, 0, 0, 0, 0x78, 2, 0, 0, 0, 0x79, 0x7A,
      ])
  }

  @Test func contentDoesNotDependOnTheFormat() throws {
    let table = try Dataset.labelled(
      bytes: Array("id\tdocument\tlabel\r\n1\t가\\n\t1\r\n2\t\t0".utf8), name: "a.tsv")
    let lines = try Dataset.labelled(
      bytes: Array("\n{\"label\":1,\"document\":\"\\uac00\\\\n\"}\n{\"document\":\"\",\"label\":0}\n".utf8),
      name: "b.jsonl")
    #expect(Self.content(table) == Self.content(lines))
    #expect(Self.content(table) != Self.content(table.selecting([1, 0])))
  }

  /// Larger than the pieces in which it is handed over.
  @Test func longContentIsHandedOverWhole() {
    let data = Dataset(name: "long", texts: [String(repeating: "x", count: 200_000), "y"])
    #expect(Self.content(data).count == 9 + 8 + 200_000 + 8 + 1)
  }

  @Test func aSelectionKeepsRowsTogether() throws {
    let data = try Dataset.labelled(
      bytes: Array("id\tdocument\tlabel\tb\n1\t가\t1\tp\n2\t나\t0\tq\n3\t다\t1\tr\n".utf8), name: "a.tsv",
      columns: ColumnNames(textPair: "b", identifier: "id"))
    let part = data.selecting([2, 0])
    #expect(part.texts == ["다", "가"] && part.labels == [1, 1])
    #expect((0..<2).map(part.line) == [4, 2])
    #expect((0..<2).map { part.textPair($0) } == ["r", "p"])
    #expect((0..<2).map { part.identifier($0) } == ["3", "1"])
    #expect(part.selecting([1]).line(0) == 2)
    #expect(data.selecting([]).count == 0)
  }

  @Test func limitsAreNestedSeededAndInFileOrder() {
    let data = Self.numbered
    let (small, large) = (data.limited(to: 100, seed: 1), data.limited(to: 400, seed: 1))
    #expect(small.count == 100 && large.count == 400)
    #expect(Set(small.texts).isSubset(of: large.texts))
    let lines = (0..<100).map(small.line)
    #expect(lines == lines.sorted() && Set(lines).count == 100)
    #expect(small.texts == lines.map { "review \($0 - 1)" })
    #expect(small.texts == data.limited(to: 100, seed: 1).texts)
    #expect(small.texts != data.limited(to: 100, seed: 2).texts)
    #expect(data.limited(to: 1000, seed: 1).texts == data.texts)
    #expect(data.limited(to: 5000, seed: 1).texts == data.texts)
    #expect(data.limited(to: 0, seed: 1).count == 0)
  }

  @Test func splitsAreSeededAndComplete() {
    let data = Self.numbered
    let (training, validation) = data.split(validationFraction: 0.1, seed: 1)
    #expect(training.count == 900 && validation.count == 100)
    #expect(Set(training.texts).union(validation.texts) == Set(data.texts))
    let lines = (0..<100).map(validation.line)
    #expect(lines == lines.sorted())
    #expect(lines != (0..<100).map(data.split(validationFraction: 0.1, seed: 2).validation.line))
    #expect(Set(validation.texts) != Set(data.limited(to: 100, seed: 1).texts), "purposes share no numbers")
    let tiny = Dataset(name: "tiny", texts: ["a", "b"]).split(validationFraction: 0.01, seed: 1)
    #expect(tiny.training.count == 1 && tiny.validation.count == 1)
    let most = Dataset(name: "tiny", texts: ["a", "b"]).split(validationFraction: 0.99, seed: 1)
    #expect(most.training.count == 1 && most.validation.count == 1)
    let single = Dataset(name: "one", texts: ["a"]).split(validationFraction: 0.5, seed: 1)
    #expect(single.training.count == 1 && single.validation.count == 0)
  }
}
