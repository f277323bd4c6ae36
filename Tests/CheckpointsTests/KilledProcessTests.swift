import Checkpoints
import Failures
import Foundation
import Glibc
import HDF5
import Testing

/// Processes that end in the middle of a save.
@Suite struct KilledProcessTests {
  @Test func killedInTheMiddle() async throws {
    let scratch = try Scratch()
    let directory = scratch.directory
    let old = try publishSample(to: scratch.path("checkpoint-1.h5"), step: 1, seed: 1)
    await #expect(processExitsWith: .signal(SIGKILL)) { [directory = directory as String] in
      let path = directory + "/checkpoint-1.h5"
      let writer = try TensorFileWriter(
        to: path, .checkpoint, producer: "tests", expectedByteCount: 4, step: 1)
      try [Float(1)].withUnsafeBufferPointer { try writer.write("x", shape: [1], $0) }
      kill(getpid(), SIGKILL)
    }
    #expect(try scratch.names().count == 2, "the temporary file of the dead process is there")
    #expect(try TensorFile(opening: scratch.path("checkpoint-1.h5")).sha256 == old.sha256)
    let files = CheckpointFiles(in: directory)
    #expect(try files.newestValid().found?.sha256 == old.sha256)
    #expect(try files.removeStaleTemporaries().count == 1)
    #expect(try scratch.names() == ["checkpoint-1.h5"])
  }

  /// A process that saves without pause is killed at 30 moments, spread over the time of some saves.
  @Test func killedAtAnyMoment() async throws {
    let scratch = try Scratch()
    let directory = scratch.directory
    let files = CheckpointFiles(in: directory)
    var newest = 0
    for round in 0..<30 {
      let delay = 3000 + round * 1717 % 24_000
      await #expect(processExitsWith: .signal(SIGALRM)) {
        [directory = directory as String, delay = delay as Int, newest = newest as Int] in
        // The signal's default action ends the process on the spot, wherever it is.
        var timer = itimerval(it_interval: timeval(), it_value: timeval(tv_sec: 0, tv_usec: delay))
        for step in (newest + 1)..<Int.max {
          try publishSample(
            to: "\(directory)/checkpoint-\(step).h5", step: step, seed: Float(step), rows: 5000)
          try CheckpointFiles(in: directory).rotate(keeping: 2, knownValid: step)
          // The clock starts after the first save, so that there is something to lose.
          if step == newest + 1 { setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil) }
        }
      }
      let (found, skipped) = try files.newestValid()
      #expect(skipped == [])
      let step = try #require(found?.step)
      #expect(step > newest)
      newest = step
      guard let file = try files.openNewestValid() else { return }
      #expect(try values(file, "scale") == [Float(step)])
    }
    try files.removeStaleTemporaries()
    #expect(try scratch.names().allSatisfy { $0.hasSuffix(".h5") })
  }

  @Test func theTemporaryFileOfALivingProcessStays() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    let writer = try TensorFileWriter(
      to: scratch.path("a.h5"), .model, producer: "tests", expectedByteCount: 0)
    #expect(try files.removeStaleTemporaries() == [])
    _ = try writer.publish()
    #expect(try scratch.names() == ["a.h5"])
  }

  @Test func aLeftoverOfTheSameProcessIdIsNoObstacle() throws {
    let scratch = try Scratch()
    try writeBytes([1, 2, 3], to: scratch.path("a.h5.tmp-\(getpid())"))
    try writeBytes([1, 2, 3], to: scratch.path("b.h5.tmp-\(getpid())"))
    try writeBytes([1, 2, 3], to: scratch.path("notes.tmp-old"))
    try publishSample(to: scratch.path("a.h5"))
    #expect(openingFailure(scratch.path("a.h5")) == nil)
    try CheckpointFiles(in: scratch.directory).removeStaleTemporaries()
    #expect(try scratch.names() == ["a.h5", "notes.tmp-old"])
  }
}
