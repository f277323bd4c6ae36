import Failures
import Interchange
import TestSupport
import Testing

@Suite struct PyTorchTests {
  static let storage = Samples.floats([0, 1, 2, 3, 4, 5, 6, 7])
  static let tensor = Pickle.tensor(Pickle.storage(count: 8), offset: 1, [2, 3], [3, 1])
  static let plain = Pickle.file(Pickle.dictionary([("w", tensor)]))

  @Test(arguments: [false, true])
  func zipFormIsRead(isWide: Bool) throws {
    let archive = try open(
      Samples.torchZip(PyTorchTests.plain, storages: [PyTorchTests.storage], isWide: isWide))
    #expect(archive.entries == [TensorEntry(name: "w", shape: [2, 3])])
    #expect(try archive.floats("w") == [1, 2, 3, 4, 5, 6])
  }

  @Test func oldFormIsRead() throws {
    let view = Pickle.tuple([Pickle.text("v"), Pickle.int(4), Pickle.int(4)])
    let object = Pickle.dictionary([
      ("w", Pickle.tensor(Pickle.storage(key: "k", count: 8, view: [0x4E]), offset: 1, [2, 3], [3, 1])),
      ("v", Pickle.tensor(Pickle.storage(key: "k", count: 8, view: view), offset: 1, [2], [2])),
    ])
    let archive = try open(
      Samples.torchStream(Pickle.file(object), storages: [("k", 8, PyTorchTests.storage)]))
    #expect(try archive.floats("w") == [1, 2, 3, 4, 5, 6])
    #expect(try archive.floats("v") == [5, 7])
  }

  @Test func viewsAreMaterialised() throws {
    let storage = Pickle.storage(count: 8)
    let pickle = Pickle.dictionary([
      ("transposed", Pickle.tensor(storage, [2, 4], [1, 2])),
      ("repeated", Pickle.tensor(storage, offset: 7, [3], [0])),
      ("overlapping", Pickle.tensor(storage, [3, 2], [1, 1])),
      ("scalar", Pickle.tensor(storage, offset: 5, [], [])),
      ("empty", Pickle.tensor(storage, offset: 99, [0, 3], [3, 1])),
      ("thin", Pickle.tensor(storage, offset: 2, [1, 2, 1], [Int.max, 3, Int.max])),
      ("every other", Pickle.tensor(storage, [2, 2], [4, 2])),
    ])
    let archive = try open(Samples.torchZip(Pickle.file(pickle), storages: [PyTorchTests.storage]))
    #expect(try archive.floats("transposed") == [0, 2, 4, 6, 1, 3, 5, 7])
    #expect(try archive.floats("repeated") == [7, 7, 7])
    #expect(try archive.floats("overlapping") == [0, 1, 1, 2, 2, 3])
    #expect(try archive.floats("scalar") == [5])
    #expect(try archive.floats("empty") == [])
    #expect(try archive.floats("thin") == [2, 5])
    #expect(try archive.doubles("every other") == [0, 2, 4, 6])
  }

  /// A transposed matrix larger than one piece of the reader.
  @Test func largeViewsAreMaterialised() throws {
    let (rows, columns) = (700, 501)
    let numbers = (0..<(rows * columns)).map { Float($0) }
    let pickle = Pickle.dictionary([
      ("t", Pickle.tensor(Pickle.storage(count: rows * columns), [columns, rows], [1, columns]))
    ])
    let archive = try open(Samples.torchZip(Pickle.file(pickle), storages: [Samples.floats(numbers)]))
    let expected = (0..<columns).flatMap { column in (0..<rows).map { numbers[$0 * columns + column] } }
    #expect(try archive.floats("t") == expected)
  }

  @Test(arguments: [
    ([2, 4], [4, 1], 1), ([9], [1], 0), ([2], [8], 0), ([2, 2], [Int.max, 1], 0),
    ([3, 3], [Int.max / 2, 1], 0),
    ([1], [1], 8), ([1], [1], -1), ([1], [1], Int.max), ([2], [-1], 1), ([-1], [1], 0),
    ([-1, -1], [1, 1], 0),
    ([Int.max], [0], 0), ([1 << 40, 1 << 40], [0, 0], 0), ([2, 2], [1], 0), ([1 << 36], [0], 0),
    ([1 << 19, 2], [0, 1], 0),
    ([Int](repeating: 1, count: 17), [Int](repeating: 1, count: 17), 0),
  ])
  func viewsOutsideTheirStorageAreRefused(shape: [Int], strides: [Int], offset: Int) {
    let tensor = Pickle.tensor(Pickle.storage(count: 8), offset: offset, shape, strides)
    let pickle = Pickle.file(Pickle.dictionary([("w", tensor)]))
    expectFailure(.badContent, "") { try open(Samples.torchZip(pickle, storages: [PyTorchTests.storage])) }
  }

  @Test func storagesThatAreMissingOrShortAreRefused() {
    expectFailure(.badContent, "no entry 'stem/data/0'") { try open(Samples.torchZip(PyTorchTests.plain)) }
    expectFailure(.badContent, "its storage has 28 bytes") {
      try open(Samples.torchZip(PyTorchTests.plain, storages: [Array(PyTorchTests.storage.dropLast(4))]))
    }
    for count in [-1, 9, 1 << 40, 1 << 61, Int.max] {
      let pickle = Pickle.file(
        Pickle.dictionary([("w", Pickle.tensor(Pickle.storage(count: count), [1], [1]))]))
      expectFailure(.badContent, "") { try open(Samples.torchZip(pickle, storages: [PyTorchTests.storage])) }
      expectFailure(.badContent, "") {
        try open(Samples.torchStream(pickle, storages: [("0", count, PyTorchTests.storage)]))
      }
    }
  }

  @Test func stateDictionariesOfAllKindsAreRead() throws {
    let ordered = Pickle.call(
      Pickle.global("collections", "OrderedDict"),
      [Pickle.list([Pickle.tuple([Pickle.text("w"), PyTorchTests.tensor])])])
    let built =
      Pickle.global("collections", "OrderedDict") + [0x29, 0x52] + Pickle.text("w") + PyTorchTests.tensor + [
        0x73
      ]
      + Pickle.dictionary([("_metadata", Pickle.dictionary([]))]) + [0x62]
    let parameter = Pickle.dictionary([
      (
        "w",
        Pickle.call(
          Pickle.global("torch._utils", "_rebuild_parameter"), [PyTorchTests.tensor, [0x88], [0x4E]])
      ),
      ("epoch", Pickle.int(3)), ("rate", [0x47, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]), ("old", [0x55, 1, 0x61]),
      ("shape", [0x4B, 1, 0x4B, 2, 0x86]), ("list", [0x5D, 0x4B, 1, 0x61]), ("long", [0x8A, 1, 0xFF]),
    ])
    for object in [ordered, built, parameter] {
      let archive = try open(Samples.torchZip(Pickle.file(object), storages: [PyTorchTests.storage]))
      #expect(archive.entries.map(\.name) == ["w"])
      #expect(try archive.floats("w") == [1, 2, 3, 4, 5, 6])
    }
  }

  @Test func nestedDictionariesAreUnwrappedOnRequest() throws {
    let inner = Pickle.dictionary([("w", PyTorchTests.tensor)])
    let bytes = Samples.torchZip(
      Pickle.file(Pickle.dictionary([("step", [0x4E]), ("state_dict", inner)])),
      storages: [PyTorchTests.storage])
    #expect(try open(bytes, unwrapping: ["model", "state_dict"]).entries.map(\.name) == ["w"])
    expectFailure(.badContent, "its tensors lie under 'state_dict'; save that part") { try open(bytes) }
    expectFailure(.badContent, "save model.state_dict()") {
      try open(Samples.torchZip(Pickle.file(Pickle.list([PyTorchTests.tensor]))))
    }
  }

  @Test func twoTensorsOfOneNameAreRefused() {
    let pickle = Pickle.file(Pickle.dictionary([("w", PyTorchTests.tensor), ("w", PyTorchTests.tensor)]))
    expectFailure(.badContent, "two tensors named 'w'") {
      try open(Samples.torchZip(pickle, storages: [PyTorchTests.storage]))
    }
  }

  @Test(arguments: [TensorElement.float32, .float64, .float16, .bfloat16])
  func whatIsWrittenIsReadBack(element: TensorElement) throws {
    let entries = [
      TensorEntry(name: "b", element: element, shape: [7, 3]),
      TensorEntry(name: "a", element: element, shape: []),
      TensorEntry(name: "Ä", element: element, shape: [0, 2]),
    ]
    try withTemporaryDirectory { directory in
      let path = directory.path("file.bin")
      try PyTorchFile.write(entries, to: path) { _, buffer in
        for index in buffer.indices { buffer[index] = Float(index) / 2 - 3 }
      }
      let archive = try TensorArchive(opening: path)
      #expect(archive.entries == entries)
      #expect(try archive.floats("b") == (0..<21).map { Float($0) / 2 - 3 })
      #expect(try archive.floats("a") == [-3])
      #expect(try archive.floats("Ä") == [])
    }
  }
}
