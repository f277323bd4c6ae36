import Failures
import Interchange
import TestSupport
import Testing

/// Pickles made to run something, to crash the reader or to fill the memory.
@Suite struct HostilePickleTests {
  private func expectRefusal(
    _ value: [UInt8], _ words: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for pickle in [Pickle.file(value), [0x80, 2] + value] {
      expectFailure(.badContent, pickle.last == 0x2E ? words : "", sourceLocation: sourceLocation) {
        try open(Samples.torchZip(pickle))
      }
    }
    expectFailure(.badContent, words, sourceLocation: sourceLocation) {
      try open(Samples.torchStream(Pickle.file(value), storages: []))
    }
  }

  @Test(arguments: [
    ("posix", "system"), ("builtins", "eval"), ("os", "system"), ("torch", "load"),
    ("torch.storage", "_load_from_bytes"),
    ("collections", "Counter"), ("torch\u{1B}[31m", "FloatStorage"),
  ])
  func unknownPythonNamesAreRefused(module: String, name: String) {
    let call = Pickle.call(Pickle.global(module, name), [Pickle.text("echo pwned")])
    expectRefusal(
      call, module.hasPrefix("torch\u{1B}") ? "'torch\\u{1b}[31m FloatStorage'" : "'\(module) \(name)'")
  }

  /// Every opcode that is not understood, among them those that import, call and build.
  @Test func otherOpcodesAreRefused() {
    let known = Set("}(Xhjqrc)RtQJKMNsub.]aeGU".utf8).union([0x85, 0x86, 0x87, 0x88, 0x89, 0x8A])
    for opcode in UInt8.min...UInt8.max where !known.contains(opcode) {
      expectRefusal([0x4E, opcode], "the opcode 0x\(String(opcode, radix: 16)) has no place")
    }
  }

  @Test func malformedStacksAreRefused() {
    let storageType = Pickle.global("torch", "FloatStorage")
    let ordered = Pickle.global("collections", "OrderedDict")
    let cases: [([UInt8], String)] = [
      ([], "a value is missing"), ([0x52], "a value is missing"), ([0x74], "a mark is missing"),
      ([0x4E, 0x4E], "left over"), ([0x28, 0x4E], "left over"), ([0x4E, 0x28], "a value is missing"),
      ([0x28, 0x85], "a value is missing"),
      ([0x4E, 0x4E, 0x52], "not a known function"), (ordered + [0x4E, 0x52], "not a known function"),
      (ordered + [0x7D, 0x52], "not a known function"),
      (storageType + [0x29, 0x52], "made inside the pickle"),
      ([0x4E, 0x51], "description of a storage"),
      (Pickle.tuple([Pickle.text("module")]) + [0x51], "of a storage"),
      (Pickle.storage(count: -1), "of a storage"), ([0x68, 0], "before it is set"),
      ([0x71, 0], "nothing to remember"),
      ([0x28, 0x71, 0], "nothing to remember"),
      ([0x4E, 0x72, 0xFF, 0xFF, 0xFF, 0x7F], "memo is out of range"),
      ([0x4E, 0x6A, 0xFF, 0xFF, 0xFF, 0xFF], "before it is set"), ([0x4E, 0x4E, 0x61], "a list is expected"),
      ([0x5D, 0x4E, 0x4E, 0x73], "a dictionary"), ([0x7D, 0x28, 0x4E, 0x75], "a dictionary and pairs"),
      ([0x4E, 0x4E, 0x62], "attributes are set"), ([0x58, 0xFF, 0xFF, 0xFF, 0xFF], "cut short"),
      ([0x58, 1, 0, 0, 0, 0xFF], "not valid UTF-8"),
      ([0x8A, 9] + [UInt8](repeating: 1, count: 9), "64 bits"),
      ([0x63] + [UInt8](repeating: 0x61, count: 600), "does not end"), ([0x47, 0], "cut short"),
      (Pickle.call(ordered, [[0x4E]]), "list of pairs"),
      (Pickle.call(ordered, [Pickle.list([[0x4E]])]), "a pair"),
      (Pickle.call(Pickle.global("torch._utils", "_rebuild_tensor_v2"), [[0x4E]]), "description of a tensor"),
      (
        Pickle.call(Pickle.global("torch._utils", "_rebuild_parameter"), [[0x4E]]),
        "a parameter needs a tensor"
      ),
      (Pickle.call(ordered, [[UInt8]](repeating: [0x4E], count: 17)), "not a known function"),
    ]
    for (value, words) in cases {
      expectFailure(.badContent, words) { try open(Samples.torchZip(Pickle.file(value))) }
    }
    expectFailure(.badContent, "a pickle of protocol 2") {
      try open(Samples.torchZip([0x80, 4, 0x4E, 0x2E]))
    }
  }

  @Test func deepNestingNeitherRecursesNorLeaks() throws {
    let deepTuple = [0x4E] + [UInt8](repeating: 0x85, count: 500_000)
    expectFailure(.badContent, "save model.state_dict()") {
      try open(Samples.torchZip(Pickle.file(deepTuple)))
    }
    // A list inside itself: memo 0, then appended to itself.
    let circle: [UInt8] = [0x5D, 0x71, 0, 0x68, 0, 0x61]
    let pickle = Pickle.dictionary([("circle", circle), ("deep", deepTuple), ("w", PyTorchTests.tensor)])
    let archive = try open(Samples.torchZip(Pickle.file(pickle), storages: [PyTorchTests.storage]))
    #expect(archive.entries.map(\.name) == ["w"])
  }

  @Test(arguments: [
    [UInt8(0x4E)], [0x28], [0x7D], [0x5D], [0x29], [0x4E, 0x85], [0x4E, 0x71, 0], [0x5D, 0x4E, 0x61],
    [0x7D, 0x4E, 0x4E, 0x73],
  ])
  func pilesOfValuesAreRefused(piece: [UInt8]) {
    let pile = [UInt8]([[UInt8]](repeating: piece, count: 3_000_000 / piece.count).joined())
    expectFailure(.badContent, "too many") { try open(Samples.torchZip([0x80, 2] + pile)) }
  }

  /// A value remembered once and used for a million storages, which BUILD throws away again.
  @Test func pilesOfStoragesAreRefused() {
    let identifier = Pickle.storage(count: 1).dropLast()
    let piece: [UInt8] = [0x68, 0, 0x51, 0x62]
    let pickle =
      [0x80, 2] + identifier + [0x71, 0] + Pickle.dictionary([])
      + [UInt8]([[UInt8]](repeating: piece, count: 1_100_000).joined())
    expectFailure(.badContent, "too many values") { try open(Samples.torchZip(pickle)) }
  }

  /// A few bytes of storage seen through many views must not become gigabytes.
  @Test func smallStoragesDoNotBecomeLargeTensors() {
    let tensor = Pickle.tensor(Pickle.storage(count: 8), [1 << 20], [0])
    let pickle = Pickle.dictionary((0..<64).map { ("w\($0)", tensor) })
    expectFailure(.badContent, "more than twice that") {
      try open(Samples.torchZip(Pickle.file(pickle), storages: [PyTorchTests.storage]))
    }
  }
}
