import Checkpoints
import Failures
import Foundation
import Glibc
import Testing

@Suite struct RunLockTests {
  @Test func theSecondJobIsRefusedAndToldWhoIsFirst() throws {
    let scratch = try Scratch()
    do {
      let lock = try RunLock.take(in: scratch.directory)
      let isEnforced = lock.isEnforced
      #expect(isEnforced)
      let refusal = failure { _ = try RunLock.take(in: scratch.directory) }
      #expect(refusal?.kind == .disagreement)
      let message = refusal?.message ?? ""
      #expect(message.contains("process \(getpid()) on host \(ProcessInfo.processInfo.hostName.prefix(3))"))
      #expect(message.contains(scratch.directory))
    }
    _ = try RunLock.take(in: scratch.directory)
    #expect(try readBytes(scratch.path(RunLock.fileName)) == [])
  }

  @Test func aLockOfADeadProcessIsNoObstacle() async throws {
    let scratch = try Scratch()
    let directory = scratch.directory
    await #expect(processExitsWith: .signal(SIGKILL)) { [directory = directory as String] in
      let lock = try RunLock.take(in: directory)
      kill(getpid(), SIGKILL)
      _ = consume lock
    }
    #expect(try !readBytes(scratch.path(RunLock.fileName)).isEmpty, "it could not tidy up")
    _ = try RunLock.take(in: directory)
  }

  @Test func whateverStandsInTheFileIsNoObstacle() throws {
    let scratch = try Scratch()
    for text in ["", "host x", "host node\nprocess 1\nsince 2026\n", String(repeating: "\u{0}", count: 5000)] {
      try writeBytes(Array(text.utf8), to: scratch.path(RunLock.fileName))
      _ = try RunLock.take(in: scratch.directory)
    }
  }

  /// The job may have been lost with its host, whose lock a file server gives back after a while.
  @Test func aJobOfAnotherHostIsWaitedFor() throws {
    let scratch = try Scratch()
    let lock = try RunLock.take(in: scratch.directory)
    try writeBytes(
      Array("host far-away\nprocess 7\nsince 2026-11-26T00:00:00Z\n".utf8), to: scratch.path(RunLock.fileName))
    var told: [String] = []
    let refusal = failure { _ = try RunLock.take(in: scratch.directory, patience: 1) { told.append($0) } }
    #expect(refusal?.kind == .disagreement)
    #expect(told.count == 1 && told[0].contains("host far-away") && told[0].contains(scratch.directory))
    #expect(refusal?.message.contains("known to be gone, remove \(scratch.path(RunLock.fileName))") == true)
    _ = consume lock
    _ = try RunLock.take(in: scratch.directory, patience: 1) { told.append($0) }
    #expect(told.count == 1)
  }

  /// A run that comes to write nothing removes its lock's file, and so may a person.
  @Test func aLockWhoseFileWasRemovedIsTakenOnANewOne() throws {
    let scratch = try Scratch()
    final class First { var lock: RunLock? }
    let first = First()
    first.lock = try RunLock.take(in: scratch.directory)
    let path = scratch.path(RunLock.fileName)
    var tries = 0
    let second = try RunLock.take(
      in: scratch.directory,
      lock: { number in
        tries += 1
        // As it happens between opening and locking.
        if tries == 1 {
          unlink(path)
          first.lock = nil
        }
        return flock(number, LOCK_EX | LOCK_NB)
      })
    let refusal = failure { _ = try RunLock.take(in: scratch.directory) }
    #expect(refusal?.kind == .disagreement, "the second has it")
    #expect(tries == 2)
    _ = consume second
  }

  @Test(arguments: [ENOLCK, EOPNOTSUPP, ENOSYS, EINVAL])
  func aFileSystemWithoutLocksIsNotTakenForOneThatHasThem(_ code: Int32) throws {
    let scratch = try Scratch()
    let lock = try RunLock.take(in: scratch.directory, lock: fails(with: code))
    let isEnforced = lock.isEnforced
    #expect(!isEnforced)
    #expect(RunLock.warning(on: scratch.directory).contains(scratch.directory))
  }

  /// A disk that does not answer says nothing of who else writes there.
  @Test(arguments: [EIO, EACCES, ESTALE, ENOMEM])
  func anotherErrorIsNotTakenForAFileSystemWithoutLocks(_ code: Int32) throws {
    let scratch = try Scratch()
    let refusal = failure { _ = try RunLock.take(in: scratch.directory, lock: fails(with: code)) }
    #expect(refusal?.kind == .cannotWrite)
    #expect(
      refusal?.message.contains("cannot be locked") == true && refusal?.message.contains(scratch.directory) == true)
  }

  /// As after a file server's new start.
  @Test func aStaleHandleIsOpenedAgain() throws {
    let scratch = try Scratch()
    var tries = 0
    let lock = try RunLock.take(
      in: scratch.directory,
      lock: { number in
        tries += 1
        return tries < 3 ? fails(with: ESTALE)(number) : flock(number, LOCK_EX | LOCK_NB)
      })
    let isEnforced = lock.isEnforced
    #expect(isEnforced && tries == 3)
  }

  private func fails(with code: Int32) -> (Int32) -> Int32 {
    { _ in
      errno = code
      return -1
    }
  }

  @Test func aDirectoryThatIsNotThere() throws {
    let scratch = try Scratch()
    let refusal = failure { _ = try RunLock.take(in: scratch.path("none")) }
    #expect(refusal?.kind == .cannotWrite)
    #expect(refusal?.message.contains(scratch.path("none")) == true)
  }
}
