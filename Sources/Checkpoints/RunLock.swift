package import Failures
internal import Glibc
internal import HDF5

/// The right of one job to write in a run directory, given back at the end of the owner or of its process,
/// however that ends.
///
/// The system's lock on a file of the directory decides, on one host or over NFS; what a dead job left in the
/// file is no obstacle. The text in it, host, process and time, is for the message to the second job.
package struct RunLock: ~Copyable, Sendable {
  /// The lock's file in a run directory; it stays there, empty when nobody holds the lock.
  package static let fileName = ".bert-ddp.lock"

  /// Whether the file system has locks. Where it has none, only a living process of the same host is noticed.
  package let isEnforced: Bool

  private let descriptor: Descriptor

  /// Takes the right, or says who has it.
  ///
  /// - Parameters:
  ///   - directory: The run directory, which exists.
  ///   - patience: Seconds to wait for a job of another host.
  ///   - onWait: Is told, once, what is waited for.
  /// - Returns: The right; it is given back at the end of the owner.
  /// - Throws: `disagreement` naming host and process of the job that has it; `cannotWrite` where no file can
  /// be made.
  package static func take(
    in directory: String, patience: Int = 120, onWait: (String) -> Void = { _ in }
  ) throws(Failure) -> RunLock {
    let path = directory + "/" + fileName
    let descriptor: Descriptor
    do {
      descriptor = try Descriptor(path: path, flags: O_RDWR | O_CREAT | O_NOFOLLOW)
    } catch {
      throw Failure(
        .cannotWrite, "the run directory \(directory) cannot be written to: \(error.text) for \(path)")
    }
    var isEnforced = true
    if lock(descriptor, patience, { onWait("waiting for \($0), whose job has \(directory)") }) != 0 {
      let code = errno
      let holder = Holder(readFrom: descriptor)
      if code == EWOULDBLOCK { throw refusal(directory, holder) }
      isEnforced = false
      if let holder, holder.isOfThisHost, holder.isAlive { throw refusal(directory, holder) }
    }
    do {
      try Holder.current.write(to: descriptor)
    } catch {
      throw Disk.failure(error.code, path, needed: Holder.largestByteCount)
    }
    return RunLock(isEnforced: isEnforced, descriptor: descriptor)
  }

  /// Takes the lock. A job of another host may be one that was lost with its host: file servers give its lock back after
  /// a while.
  /// - Returns: What `flock` does.
  private static func lock(
    _ descriptor: borrowing Descriptor, _ patience: Int, _ onWait: (String) -> Void
  ) -> CInt {
    for second in 0..<patience {
      if flock(descriptor.number, LOCK_EX | LOCK_NB) == 0 { return 0 }
      guard errno == EWOULDBLOCK, let holder = Holder(readFrom: descriptor), !holder.isOfThisHost else { break }
      if second == 0 { onWait("host \(holder.host)") }
      sleep(1)
    }
    return flock(descriptor.number, LOCK_EX | LOCK_NB)
  }

  private init(isEnforced: Bool, descriptor: consuming Descriptor) {
    self.isEnforced = isEnforced
    self.descriptor = descriptor
  }

  deinit {
    _ = ftruncate(descriptor.number, 0)
    // Said aloud: a child that is just being started still has a copy of the descriptor.
    flock(descriptor.number, LOCK_UN)
  }

  private static func refusal(_ directory: String, _ holder: Holder?) -> Failure {
    let who =
      holder.map { "process \($0.process) on host \($0.host), since \($0.since)" } ?? "another process"
    return Failure(
      .disagreement,
      "the run directory \(directory) is in use by \(who): "
        + "wait for it to end, or give another directory with --output"
    )
  }
}

/// Who holds a run directory.
private struct Holder {
  static let largestByteCount = 1024

  let host: String
  let process: pid_t
  let since: String

  /// This process.
  static var current: Holder { Holder(host: hostName(), process: getpid(), since: TensorFileWriter.now()) }

  var isOfThisHost: Bool { host == Self.hostName() }
  var isAlive: Bool { process != getpid() && (kill(process, 0) == 0 || errno == EPERM) }

  private init(host: String, process: pid_t, since: String) {
    self.host = host
    self.process = process
    self.since = since
  }

  /// Reads what a holder wrote; `nil` where it is not (yet) a holder's text.
  init?(readFrom descriptor: borrowing Descriptor) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.largestByteCount, alignment: 1)
    defer { buffer.deallocate() }
    guard let count = try? descriptor.read(into: buffer, at: 0) else { return nil }
    let words = String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ")
    }
    guard
      words.count == 3, words.allSatisfy({ $0.count == 2 }),
      words.map({ $0[0] }) == ["host", "process", "since"],
      let process = pid_t(words[1][1]), process > 0
    else { return nil }
    self.init(host: String(words[0][1]), process: process, since: String(words[2][1]))
  }

  /// Replaces the file's content.
  func write(to descriptor: borrowing Descriptor) throws(Descriptor.SystemError) {
    let text = Array("host \(host)\nprocess \(process)\nsince \(since)\n".utf8)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
    defer { buffer.deallocate() }
    buffer.copyBytes(from: text)
    guard ftruncate(descriptor.number, 0) == 0 else { throw Descriptor.SystemError(code: errno) }
    try descriptor.write(UnsafeRawBufferPointer(buffer), at: 0)
  }

  private static func hostName() -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return "unknown" }
    let name = bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)).filter { $0 > 32 && $0 < 127 }
    return name.isEmpty ? "unknown" : String(decoding: name, as: UTF8.self)
  }
}
