import Checkpoints
import Failures
import Foundation
import Glibc
import Testing

/// What happens to files on disks, and must never be loaded.
@Suite struct DamageTests {
  /// Calls a test with the bytes of a published file and a path for what becomes of them.
  private func withSample(rows: Int = 8, _ body: (_ bytes: [UInt8], _ path: String) throws -> Void) throws {
    let scratch = try Scratch()
    try publishSample(to: scratch.path("a.h5"), step: 7, rows: rows)
    #expect(openingFailure(scratch.path("a.h5")) == nil)
    try body(readBytes(scratch.path("a.h5")), scratch.path("damaged.h5"))
  }

  @Test func oneFlippedBitInEveryByte() throws {
    try withSample { bytes, path in
      try writeBytes(bytes, to: path)
      let descriptor = open(path, O_RDWR)
      defer { close(descriptor) }
      var silent: [Int] = []
      for position in bytes.indices {
        // All bits of the seal; of the rest one each, another for each byte.
        for bit in position < 512 ? Array(0..<8) : [(position * 5 + position / 8) % 8] {
          var byte = bytes[position] ^ (1 << UInt8(bit))
          #expect(pwrite(descriptor, &byte, 1, position) == 1)
          if openingFailure(path)?.kind != .badContent { silent.append(position) }
        }
        var byte = bytes[position]
        #expect(pwrite(descriptor, &byte, 1, position) == 1)
      }
      #expect(silent == [])
      #expect(openingFailure(path) == nil, "the file is whole again")
    }
  }

  @Test func truncationAtEveryBlock() throws {
    try withSample(rows: 800) { bytes, path in
      for length in Array(stride(from: 0, to: bytes.count, by: 512)) + [1, 511, 513, bytes.count - 1] {
        try writeBytes(Array(bytes[..<length]), to: path)
        #expect(openingFailure(path)?.kind == .badContent, "\(length) bytes")
      }
      try writeBytes(bytes + [0], to: path)
      #expect(openingFailure(path)?.message.contains("was published with \(bytes.count)") == true)
    }
  }

  @Test func zeroedTailsAndHoles() throws {
    try withSample(rows: 800) { bytes, path in
      for start in stride(from: 0, to: bytes.count, by: 512) {
        var tail = bytes
        for index in start..<bytes.count { tail[index] = 0 }
        var hole = bytes
        for index in start..<min(start + 512, bytes.count) { hole[index] = 0 }
        for damaged in [tail, hole] where damaged != bytes {
          try writeBytes(damaged, to: path)
          #expect(openingFailure(path)?.kind == .badContent, "from \(start)")
        }
      }
    }
  }

  @Test func swappedBlocks() throws {
    try withSample(rows: 800) { bytes, path in
      let blocks = stride(from: 0, to: bytes.count - 511, by: 512).map { Array(bytes[$0..<$0 + 512]) }
      for first in blocks.indices {
        let second = (first * 7 + 3) % blocks.count
        if blocks[first] == blocks[second] { continue }
        var swapped = blocks
        swapped.swapAt(first, second)
        try writeBytes(swapped.flatMap(\.self) + bytes[(blocks.count * 512)...], to: path)
        #expect(openingFailure(path)?.kind == .badContent, "blocks \(first) and \(second)")
      }
    }
  }

  @Test func theSealOfAnotherFile() throws {
    let scratch = try Scratch()
    try publishSample(to: scratch.path("a.h5"), seed: 1)
    try publishSample(to: scratch.path("b.h5"), seed: 2)
    let (a, b) = try (readBytes(scratch.path("a.h5")), readBytes(scratch.path("b.h5")))
    try writeBytes(Array(a[..<512] + b[512...]), to: scratch.path("c.h5"))
    #expect(openingFailure(scratch.path("c.h5"))?.kind == .badContent)
  }

  @Test func filesOfAnotherKindSayWhatTheyAre() throws {
    let scratch = try Scratch()
    func message(_ bytes: [UInt8]) throws -> String {
      try writeBytes(bytes, to: scratch.path("x"))
      let failure = try #require(openingFailure(scratch.path("x")))
      #expect(failure.kind == .badContent)
      #expect(failure.message.hasPrefix(scratch.path("x")))
      return failure.message
    }
    try publishSample(to: scratch.path("a.h5"))
    let bytes = try readBytes(scratch.path("a.h5"))
    #expect(try message([]).contains("is empty"))
    #expect(try message(Array(bytes[512...])).contains("HDF5 file without the seal"))
    #expect(try message([0x50, 0x4B, 3, 4] + bytes).contains("zip archive"))
    #expect(try message([2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8)).contains("safetensors"))
    #expect(try message([UInt8](repeating: 0, count: 4096)).contains("begins with zeros"))
    #expect(try message(Array("id\tdocument\tlabel\n".utf8)).contains("is not a file of bert-ddp"))
    let newer = Array("bert-ddp seal 2\n".utf8) + bytes[16...]
    #expect(try message(newer).contains("newer version"))
  }

  @Test func unreadablePaths() throws {
    let scratch = try Scratch()
    #expect(openingFailure(scratch.path("none.h5"))?.kind == .noInput)
    #expect(openingFailure(scratch.directory)?.kind == .noInput)
    #expect(mkfifo(scratch.path("pipe"), 0o600) == 0)
    #expect(openingFailure(scratch.path("pipe"))?.kind == .noInput, "and it does not wait for a writer")
  }

  @Test func aFileSwappedAfterVerificationChangesNothing() throws {
    let scratch = try Scratch()
    try publishSample(to: scratch.path("a.h5"), seed: 1)
    let file = try TensorFile(opening: scratch.path("a.h5"))
    try publishSample(to: scratch.path("a.h5"), seed: 2)
    #expect(try values(file, "scale") == [1])
    #expect(try values(TensorFile(opening: scratch.path("a.h5")), "scale") == [2])
  }

  @Test func aFileChangedInPlaceAfterVerificationIsRefused() throws {
    let scratch = try Scratch()
    try publishSample(to: scratch.path("a.h5"), seed: 1)
    let file = try TensorFile(opening: scratch.path("a.h5"))
    usleep(20_000)  // beyond the clock tick of the file system
    let descriptor = open(scratch.path("a.h5"), O_RDWR)
    var byte: UInt8 = 0
    #expect(pwrite(descriptor, &byte, 1, 100) == 1)
    close(descriptor)
    #expect(failure { _ = try values(file, "scale") }?.kind == .badContent)
  }
}
