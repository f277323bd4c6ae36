import Failures
import Interchange
import TestSupport
import Testing

@Suite struct ZipTests {
  private let entries: [(String, [UInt8])] = [
    ("a/data.pkl", PyTorchTests.plain), ("a/data/0", PyTorchTests.storage),
  ]

  @Test func topFolderMayHaveAnyName() throws {
    #expect(try open(Samples.zip(entries)).floats("w") == [1, 2, 3, 4, 5, 6])
  }

  @Test func commentsAtTheEndAreAllowed() throws {
    var bytes = Samples.zip(entries)
    bytes[bytes.count - 2] = 5
    #expect(try open(bytes + Array("hello".utf8)).entries.count == 1)
  }

  @Test func otherZipFilesAreRefused() {
    expectFailure(.badContent, "not one of PyTorch's: it has 0 data.pkl") {
      try open(Samples.zip([("a/b", [1])]))
    }
    expectFailure(.badContent, "has 2 data.pkl") { try open(Samples.zip(entries + [("b/data.pkl", [1])])) }
    expectFailure(.badContent, "occurs twice") { try open(Samples.zip(entries + entries)) }
    expectFailure(.badContent, "compressed or encrypted") { try open(Samples.zip(entries, method: 8)) }
    expectFailure(.badContent, "big-endian") {
      try open(Samples.zip(entries + [("a/byteorder", Array("big".utf8))]))
    }
    expectFailure(.badContent, "the directory at its end is missing") {
      try open(Array(Samples.zip(entries).dropLast()))
    }
  }

  @Test func entriesOutsideTheFileAreRefused() throws {
    let bytes = Samples.zip(entries)
    // The directory entry of the storage is the last one; its offset stands 42 bytes into it.
    let marker: [UInt8] = [0x50, 0x4B, 1, 2]
    let last = try #require(bytes.indices.last { bytes[$0...].starts(with: marker) })
    for (field, words) in [(42, "does not start where"), (20, "sizes are impossible"), (46, "no entry")] {
      var damaged = bytes
      damaged[last + field] ^= 0x10
      expectFailure(.badContent, words) { try open(damaged) }
    }
    var large = bytes
    for field in [20, 24] {
      large.replaceSubrange((last + field)..<(last + field + 4), with: [0, 0, 0, 0x7F])
    }
    expectFailure(.badContent, "runs past the end") { try open(large) }
  }

  @Test func writtenFilesHaveChecksumsAndAlignment() throws {
    try withTemporaryDirectory { directory in
      let path = directory.path("file.bin")
      try PyTorchFile.write([TensorEntry(name: "w", shape: [3])], to: path) { _, numbers in
        numbers.update(repeating: 2)
      }
      let bytes = try InputFile.contents(of: path)
      let starts = bytes.indices.filter { bytes[$0...].starts(with: [0x50, 0x4B, 3, 4]) }
      #expect(starts.count == 4)
      for start in starts {
        let extra = Int(bytes[start + 28]) + Int(bytes[start + 29]) << 8
        #expect((start + 30 + Int(bytes[start + 26]) + extra).isMultiple(of: 64))
      }
      // The CRC-32 of three times 2.0 as Float, from an independent implementation.
      #expect(Array(bytes[(starts[2] + 14)..<(starts[2] + 18)]) == [0xB1, 0xDC, 0x68, 0x8B])
    }
  }
}
