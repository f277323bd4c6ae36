package import Failures
internal import Glibc
internal import HDF5

/// The right of one job to write in a run directory, given back at the end of the owner or of its process,
/// however that ends.
///
/// The system's lock on a file of the directory decides, on one host or over NFS; what a dead job left in the
/// file is no obstacle. The text in it, host, process, time and Slurm's job, is for the message to the second job and for
/// `launch/slurm.sbatch`.
package struct RunLock: ~Copyable, Sendable {
  /// The lock's file in a run directory; it stays there, empty when nobody holds the lock.
  package static let fileName = ".bert-ddp.lock"

  /// Whether the file system has locks. Where it has none, only a living process of the same host is noticed.
  package let isEnforced: Bool

  /// What the people of a run should know where the file system has no locks.
  package static func warning(on directory: String) -> String {
    "the file system of \(directory) has no locks: two runs in this directory, on two hosts, would not notice each other; start one at a time."
  }

  private let descriptor: Descriptor

  /// Takes the right, or says who has it.
  ///
  /// - Parameters:
  ///   - directory: The run directory, which exists.
  ///   - patience: Seconds to wait for a job of another host.
  ///   - onWait: Is told, once, what is waited for.
  ///   - lock: Tries to lock a file; `flock` unless given.
  /// - Returns: The right; it is given back at the end of the owner.
  /// - Throws: `disagreement` naming host and process of the job that has it; `cannotWrite` where no file can
  /// be made, or locking it fails in another way than that the file system has no locks.
  package static func take(
    in directory: String, patience: Int = 120, onWait: (String) -> Void = { _ in },
    lock: ((Int32) -> Int32)? = nil
  ) throws(Failure) -> RunLock {
    let path = directory + "/" + fileName
    let lock = lock ?? { flock($0, LOCK_EX | LOCK_NB) }
    var descriptor = try open(path, in: directory)
    var (seconds, reopened) = (0, 0)
    while true {
      switch attempt(lock, on: descriptor, at: path) {
      case .taken:
        return try enter(descriptor, path, isEnforced: true)
      case .missing:
        if let holder = Holder(readFrom: descriptor), holder.isOfThisHost, holder.isAlive {
          throw refusal(directory, holder)
        }
        return try enter(descriptor, path, isEnforced: false)
      case .replaced:
        descriptor = try open(path, in: directory)
      case .held:
        let holder = Holder(readFrom: descriptor)
        // A job of another host may be one that was lost with it: file servers give its lock back after a while.
        guard let holder, !holder.isOfThisHost, seconds < patience else { throw refusal(directory, holder) }
        if seconds == 0 { onWait("waiting for host \(holder.host), whose job has \(directory)") }
        sleep(1)
        seconds += 1
        if !isFile(descriptor, at: path) { descriptor = try open(path, in: directory) }
      case .failed(ESTALE) where reopened < 5:
        // A file server that has started again knows the file by another handle.
        reopened += 1
        descriptor = try open(path, in: directory)
      case .failed(let code):
        throw Failure(
          .cannotWrite, "the run directory \(directory) cannot be locked: \(systemErrorText(code)) for \(path)")
      }
    }
  }

  /// What came of trying to lock a file.
  private enum Attempt {
    case taken
    /// Locked, but who had the lock has removed the file: this one is nobody's any more.
    case replaced
    /// Somebody else has it.
    case held
    /// The file system has no locks.
    case missing
    /// Something else, as `errno` has it.
    case failed(Int32)
  }

  private static func attempt(
    _ lock: (Int32) -> Int32, on descriptor: borrowing Descriptor, at path: String
  ) -> Attempt {
    if lock(descriptor.number) == 0 { return isFile(descriptor, at: path) ? .taken : .replaced }
    let code = errno
    switch code {
    case EWOULDBLOCK: return .held
    case ENOLCK, EOPNOTSUPP, ENOTSUP, ENOSYS, EINVAL: return .missing
    default: return .failed(code)
    }
  }

  /// Says in the file who has it.
  private static func enter(
    _ descriptor: consuming Descriptor, _ path: String, isEnforced: Bool
  ) throws(Failure) -> RunLock {
    do {
      try Holder.current.write(to: descriptor)
    } catch {
      throw Disk.failure(error.code, path, needed: Holder.largestByteCount)
    }
    return RunLock(isEnforced: isEnforced, descriptor: descriptor)
  }

  private static func open(_ path: String, in directory: String) throws(Failure) -> Descriptor {
    do {
      return try Descriptor(path: path, flags: O_RDWR | O_CREAT | O_NOFOLLOW)
    } catch {
      throw Failure(
        .cannotWrite, "the run directory \(directory) cannot be written to: \(error.text) for \(path)")
    }
  }

  /// Whether a path still names the file that is open.
  private static func isFile(_ descriptor: borrowing Descriptor, at path: String) -> Bool {
    var (opened, named) = (stat(), stat())
    return fstat(descriptor.number, &opened) == 0 && opened.st_nlink > 0 && stat(path, &named) == 0
      && (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
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
      holder.map {
        "process \($0.process) on host \($0.host), since \($0.since)"
          + ($0.isOfThisJob ? " (this Slurm job, before it was queued again)" : "")
      } ?? "another process"
    // A file server may keep the lock of a host that was lost.
    let mayBeGone = holder.map { !$0.isOfThisHost || $0.isGone } ?? false
    return Failure(
      .disagreement,
      "the run directory \(directory) is in use by \(who): "
        + "wait for it to end, or give another directory with --output"
        + (mayBeGone ? "; if that process is known to be gone, remove \(directory)/\(fileName)" : "")
    )
  }
}

/// Who holds a run directory.
private struct Holder {
  static let largestByteCount = 1024

  let host: String
  let process: pid_t
  let since: String
  /// Slurm's number of the job; it stays the same when the job is queued again.
  let job: String?

  /// This process.
  static var current: Holder {
    Holder(host: hostName(), process: getpid(), since: TensorFileWriter.now(), job: slurmJob())
  }

  var isOfThisHost: Bool { host == Self.hostName() }
  var isAlive: Bool { process != getpid() && !isGone }
  var isGone: Bool { kill(process, 0) != 0 && errno == ESRCH }
  var isOfThisJob: Bool { !isOfThisHost && job != nil && job == Self.slurmJob() }

  private init(host: String, process: pid_t, since: String, job: String?) {
    self.host = host
    self.process = process
    self.since = since
    self.job = job
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
      words.count == 3 || words.count == 4, words.allSatisfy({ $0.count == 2 }),
      words.map({ String($0[0]) }) == Array(["host", "process", "since", "job"].prefix(words.count)),
      let process = pid_t(words[1][1]), process > 0
    else { return nil }
    self.init(
      host: String(words[0][1]), process: process, since: String(words[2][1]),
      job: words.count == 4 ? String(words[3][1]) : nil)
  }

  /// Replaces the file's content.
  func write(to descriptor: borrowing Descriptor) throws(Descriptor.SystemError) {
    let jobLine = job.map { "job \($0)\n" } ?? ""
    let text = Array("host \(host)\nprocess \(process)\nsince \(since)\n\(jobLine)".utf8)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
    defer { buffer.deallocate() }
    buffer.copyBytes(from: text)
    guard ftruncate(descriptor.number, 0) == 0 else { throw Descriptor.SystemError(code: errno) }
    try descriptor.write(UnsafeRawBufferPointer(buffer), at: 0)
  }

  private static func slurmJob() -> String? {
    guard let job = getenv("SLURM_JOB_ID").map({ String(cString: $0) }), Int(job) != nil else { return nil }
    return job
  }

  private static func hostName() -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return "unknown" }
    let name = bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)).filter { $0 > 32 && $0 < 127 }
    return name.isEmpty ? "unknown" : String(decoding: name, as: UTF8.self)
  }
}
