import Checkpoints
import Failures
import Foundation
import Glibc
import HDF5
import Testing

/// What stood at the path before stays until the new file is whole, whatever goes wrong.
@Suite struct PublicationTests {
  @Test func replacesAtOnceAndLeavesNothingElse() throws {
    let scratch = try Scratch()
    let first = try publishSample(to: scratch.path("a.h5"), seed: 1)
    let second = try publishSample(to: scratch.path("a.h5"), seed: 2)
    #expect(first.sha256 != second.sha256)
    #expect(try TensorFile(opening: scratch.path("a.h5")).sha256 == second.sha256)
    #expect(try scratch.names() == ["a.h5"])
  }

  @Test func anErrorOfTheWriterKeepsTheOldFile() throws {
    struct Interruption: Error {}
    let scratch = try Scratch()
    let old = try publishSample(to: scratch.path("a.h5"), seed: 1)
    #expect(throws: Interruption.self) {
      try publish(to: scratch.path("a.h5"), expectedByteCount: 4000) { file in
        try file.createDataset("/x", shape: [1000], .float32)
        throw Interruption()
      }
    }
    #expect(try TensorFile(opening: scratch.path("a.h5")).sha256 == old.sha256)
    #expect(try scratch.names() == ["a.h5"])
  }

  @Test func abandonedWritersLeaveNothing() throws {
    let scratch = try Scratch()
    do {
      let writer = try TensorFileWriter(
        to: scratch.path("a.h5"), .model, producer: "tests", expectedByteCount: 4)
      try [Float(1)].withUnsafeBufferPointer { try writer.write("x", shape: [1], $0) }
      #expect(try scratch.names() == ["a.h5.tmp-\(getpid())"])
    }
    #expect(try scratch.names() == [])
  }

  @Test func moreThanTheDiskHoldsIsRefusedBeforeWriting() throws {
    let scratch = try Scratch()
    try publishSample(to: scratch.path("a.h5"), seed: 1)
    let refusal = failure {
      _ = try TensorFileWriter(
        to: scratch.path("a.h5"), .model, producer: "tests", expectedByteCount: 1 << 60)
    }
    #expect(refusal?.kind == .cannotWrite)
    let message = refusal?.message ?? ""
    #expect(
      message.hasPrefix("\(scratch.path("a.h5")) could not be written: No space left on device; it needs 11"))
    #expect(message.contains(/[0-9]+ are available/))
    #expect(openingFailure(scratch.path("a.h5")) == nil)
    #expect(try scratch.names() == ["a.h5"])
  }

  @Test func placesWhereNothingCanBeWritten() throws {
    let scratch = try Scratch()
    try writeBytes([1], to: scratch.path("file"))
    try FileManager.default.createDirectory(
      atPath: scratch.path("directory"), withIntermediateDirectories: false)
    for (name, reason) in [
      ("file/a.h5", "Not a directory"), ("nowhere/a.h5", "No such file"), ("directory", "it is a directory"),
    ] {
      let refusal = failure { try publishSample(to: scratch.path(name)) }
      #expect(refusal?.kind == .cannotWrite)
      #expect(refusal?.message.contains(scratch.path(name)) == true)
      #expect(refusal?.message.contains(reason) == true, "\(refusal?.message ?? "no failure")")
    }
    #expect(try scratch.names() == ["directory", "file"])
  }

  @Test(.enabled(if: getuid() != 0, "the superuser writes in any directory"))
  func directoriesWithoutPermission() throws {
    let scratch = try Scratch()
    try publishSample(to: scratch.path("a.h5"), seed: 1)
    chmod(scratch.directory, 0o555)
    defer { chmod(scratch.directory, 0o755) }
    #expect(failure { try publishSample(to: scratch.path("a.h5")) }?.kind == .cannotWrite)
    #expect(openingFailure(scratch.path("a.h5")) == nil)
  }

  @Test func everyLimitOnTheFileSize() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      let old = try publishSample(to: scratch.path("a.h5"), seed: 1, rows: 4000)
      for limit in stride(from: 0, to: old.byteCount, by: 2049) {
        limitFileSize(to: limit)
        let refusal = failure { try publishSample(to: scratch.path("a.h5"), seed: 2, rows: 4000) }
        // Values of less than expected, so that the limit is met halfway.
        let halfway = failure {
          try publish(to: scratch.path("a.h5"), expectedByteCount: 0) { file in
            let values = [Float](repeating: 1, count: 60_000)
            try values.withUnsafeBufferPointer { try file.write("/x", shape: [60_000], $0) }
          }
        }
        limitFileSize(to: nil)
        for refusal in [refusal, halfway] {
          #expect(refusal?.kind == .cannotWrite, "limit \(limit)")
          #expect(refusal?.message.contains("File too large") == true, "limit \(limit)")
          #expect(refusal?.message.contains("a file may have \(limit) (ulimit -f)") == true)
        }
        #expect(try scratch.names() == ["a.h5"])
        #expect(try TensorFile(opening: scratch.path("a.h5")).sha256 == old.sha256)
      }
    }
  }

  /// Whether this process may mount a file system in memory.
  static let canMount: Bool = {
    let directory = NSTemporaryDirectory() + "mount-test-\(getpid())"
    mkdir(directory, 0o700)
    defer { rmdir(directory) }
    guard getuid() == 0, succeeds("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", directory]) else {
      return false
    }
    return succeeds("umount", [directory])
  }()

  @Test(.enabled(if: canMount, "this user may not mount a file system")) func fullDisks() throws {
    let scratch = try Scratch()
    // From one that has no room for the second file's first block to one that lacks only its last blocks.
    for kibibytes in stride(from: 112, through: 320, by: 4) {
      let mounted = try run("mount", ["-t", "tmpfs", "-o", "size=\(kibibytes)k", "tmpfs", scratch.directory])
      #expect(mounted.status == 0)
      defer { _ = try? run("umount", [scratch.directory]) }
      let old = try publishSample(to: scratch.path("a.h5"), step: 1, seed: 1, rows: 1000)
      let tooLarge = failure { try publishSample(to: scratch.path("b.h5"), seed: 2, rows: 40_000) }
      #expect(tooLarge?.kind == .cannotWrite)
      let halfway = failure {
        // It expects less than it writes, so that the disk is full in the middle.
        try publish(to: scratch.path("a.h5"), expectedByteCount: 0) { file in
          let values = [Float](repeating: 1, count: 1000)
          for index in 0..<70 {
            try values.withUnsafeBufferPointer {
              try file.write("/group\(index % 5)/\(index)", shape: [1000], $0)
            }
          }
        }
      }
      #expect(halfway?.kind == .cannotWrite)
      #expect(halfway?.message.contains("No space left on device") == true)
      #expect(halfway?.message.contains("are available") == true)
      #expect(try scratch.names() == ["a.h5"])
      #expect(try TensorFile(opening: scratch.path("a.h5")).sha256 == old.sha256)
    }
  }

  @Test(.enabled(if: canMount, "this user may not mount a file system")) func readOnlyDisks() throws {
    let scratch = try Scratch()
    #expect(succeeds("mount", ["-t", "tmpfs", "tmpfs", scratch.directory]))
    defer { _ = try? run("umount", [scratch.directory]) }
    let old = try publishSample(to: scratch.path("a.h5"), step: 1, seed: 1)
    #expect(succeeds("mount", ["-o", "remount,ro", scratch.directory]))
    let refusal = failure { try publishSample(to: scratch.path("a.h5"), seed: 2) }
    #expect(refusal?.kind == .cannotWrite)
    #expect(refusal?.message.contains("Read-only file system") == true)
    #expect(try TensorFile(opening: scratch.path("a.h5")).sha256 == old.sha256)
    #expect(throws: Failure.self) { _ = try RunLock.take(in: scratch.directory) }
  }
}
