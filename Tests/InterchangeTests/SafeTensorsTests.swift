import Failures
import Interchange
import TestSupport
import Testing

@Suite struct SafeTensorsTests {
  @Test func tensorsAreListedAndRead() throws {
    let archive = try open(Samples.plainSafetensors)
    #expect(archive.entries.map(\.name) == ["m", "s", "e", "i"])
    #expect(archive.entry(named: "m")?.shape == [2, 3])
    #expect(archive.entry(named: "m")?.elementCount == 6)
    #expect(archive.entry(named: "s")?.shape == [])
    #expect(archive.entry(named: "x") == nil)
    #expect(try archive.floats("m") == [1, 2, 3, 4, 5, 6])
    #expect(try archive.floats("s") == [3.5])
    #expect(try archive.floats("e") == [])
    #expect(try archive.integers("i") == [7, -8])
  }

  @Test func askingForTheWrongThingIsAFailure() throws {
    let archive = try open(Samples.plainSafetensors)
    expectFailure(.badContent, "has no tensor 'x'") { try archive.floats("x") }
    expectFailure(.badContent, "the tensor 'i' holds I32; weights must be") { try archive.floats("i") }
    expectFailure(.badContent, "the tensor 'm' holds F32, not whole numbers") { try archive.integers("m") }
    expectFailure(.badContent, "has the shape [2, 3], but [3, 2] was expected") {
      try archive.weight(named: "m", shape: [3, 2])
    }
    #expect(try archive.weight(named: "m", shape: [2, 3]).elementCount == 6)
  }

  @Test func orderInTheHeaderDoesNotMatter() throws {
    let header =
      #"{"late":{"data_offsets":[4,8],"shape":[1],"dtype":"F32"},"early":{"dtype":"F32","shape":[1],"#
      + #""data_offsets":[0,4],"note":{"any":[1,-2.5e3,null,true,"x"]}}}  "#
    let archive = try open(Samples.safetensors(header, data: Samples.floats([1, 2])))
    #expect(archive.entries.map(\.name) == ["early", "late"])
    #expect(try archive.floats("late") == [2])
  }

  @Test(arguments: [
    (
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
      "takes 8 bytes, but its data_offsets are 0 and 4"
    ),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, "starts at byte 4 of the data, where 0"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, "starts at byte 4"),
    (
      #"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#,
      "ends at byte 12 of the data, but the file has 8"
    ),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "has 4 bytes after its last tensor"),
    (
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      "'b' starts at byte 4 of the data, where 8"
    ),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      "the key 'a' occurs twice"
    ),
    (#"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#, "unknown element type 'F31'"),
    (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, "a whole number is expected"),
    (#"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, "a whole number is expected"),
    (#"{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}"#, "a whole number is expected"),
    (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#, "too large"),
    (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, "too large to exist"),
    (#"{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}"#, "too large to exist"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, "needs dtype, shape and two data_offsets"),
    (#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#, "needs dtype, shape"),
    (#"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, "'dtype' occurs twice"),
    (#"{"a":7}"#, "'{' is expected"),
    (#"{"__metadata__":{"format":1}}"#, "'\"' is expected"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} x"#, "something follows"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, "'}' is expected"),
    (
      #"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}"#,
      "more than 16"
    ),
  ])
  func headersThatDoNotMatchTheFileAreRefused(header: String, words: String) {
    expectFailure(.badContent, words) {
      try open(Samples.safetensors(header, data: [UInt8](repeating: 0, count: 8)))
    }
  }

  @Test(arguments: [0, 100, 100_000_001, Int.max, -1])
  func impossibleHeaderLengthsAreRefused(length: Int) {
    let bytes = Samples.littleEndian(length, 8) + Array("{}".utf8)
    expectFailure(.badContent, "") { try open(bytes) }
  }

  @Test func deepNestingIsRefusedWithoutRecursion() {
    let deep = String(repeating: "[", count: 2_000_000)
    expectFailure(.badContent, "nested deeper") { try open(Samples.safetensors("{\"a\":{\"x\":\(deep)")) }
  }

  @Test func manyTensorsAreRefusedBeforeTheyFillTheMemory() {
    let item = (0..<70_000).map {
      "\"\($0)\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[\($0),\($0 + 1)]}"
    }
    let header = "{" + item.joined(separator: ",") + "}"
    expectFailure(.badContent, "more than 65536 tensors") { try open(Samples.safetensors(header)) }
  }

  @Test(arguments: [
    (TensorElement.float32, 0.0), (.float64, 0), (.float16, 0x1p-11), (.bfloat16, 0x1p-8),
  ])
  func whatIsWrittenIsReadBack(element: TensorElement, rounding: Double) throws {
    let entries = [
      TensorEntry(name: "b", element: element, shape: [70_001, 3]),
      TensorEntry(name: "a", element: element, shape: []),
      TensorEntry(name: "\"\\\n\u{1}é", element: element, shape: [0, 2]),
    ]
    func value(_ index: Int) -> Float { Float(index) * 0.3 - 1000 }
    try withTemporaryDirectory { directory in
      let path = directory.path("file.safetensors")
      try SafeTensors.write(entries, to: path) { _, buffer in
        for index in buffer.indices { buffer[index] = value(index) }
      }
      let archive = try TensorArchive(opening: path)
      #expect(Set(archive.entries.map(\.name)) == Set(entries.map(\.name)))
      let expected = (0..<210_003).map(value)
      expectClose(try archive.floats("b"), expected, relative: rounding)
      expectClose(try archive.doubles("b"), expected, relative: rounding)
      expectClose(try archive.floats("a"), [value(0)], relative: rounding)
    }
  }

  @Test func layoutIsTheReferenceImplementations() throws {
    let entries = [
      TensorEntry(name: "b", element: .bfloat16, shape: [1]),
      TensorEntry(name: "a", element: .float16, shape: [1]),
      TensorEntry(name: "d", shape: [1]), TensorEntry(name: "f", element: .float64, shape: [1]),
      TensorEntry(name: "c", shape: [1, 1]),
    ]
    try withTemporaryDirectory { directory in
      let path = directory.path("file.safetensors")
      try SafeTensors.write(entries, to: path) { _, buffer in buffer.update(repeating: 1) }
      let bytes = try InputFile.contents(of: path)
      let header =
        #"{"__metadata__":{"format":"pt"},"f":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"#
        + #""c":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]},"d":{"dtype":"F32","shape":[1],"#
        + #""data_offsets":[12,16]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]},"#
        + #""a":{"dtype":"F16","shape":[1],"data_offsets":[18,20]}}"#
      let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
      let data: [UInt8] = [
        0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0x80, 0x3F, 0, 0, 0x80, 0x3F, 0x80, 0x3F, 0, 0x3C,
      ]
      #expect(bytes == Samples.safetensors(padded, data: data))
    }
  }
}
