import Failures
import FoundationEssentials
import Glibc
import ParserTargets
import TestSupport

// What libFuzzer calls; see launch/fuzz. FUZZ_TARGET says which parser; with FUZZ_SEEDS a directory is filled with what
// to begin with, and nothing is fuzzed.

/// The parser of this process.
struct Session {
  /// What a parser may take whatever its input: buffers, tables of the libraries, the copy of the input that is read.
  static let constant = 8 << 20

  /// The most that was taken beyond twice an input; said when the process ends.
  nonisolated(unsafe) private static var most = 0

  private let name: String
  private let seeds: [[UInt8]]
  private let parse: ([UInt8]) throws -> Void

  /// Takes the parser from the environment.
  static func begin() -> Session {
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    do {
      let session: Session
      if let target = ParserTarget(rawValue: name) {
        let folder = try TemporaryDirectory()
        session = Session(name: name, seeds: try target.seeds()) { try target.run($0, in: folder) }
        if let directory = getenv("FUZZ_SEEDS") {
          try session.writeSeeds(of: target, to: String(cString: directory))
          exit(0)
        }
      } else if let planted = Planted(rawValue: name) {
        session = Session(name: name, seeds: [], parse: planted.run)
      } else {
        let names = ParserTarget.allCases.map(\.rawValue) + Planted.allCases.map(\.rawValue)
        say("error: FUZZ_TARGET is one of \(names.joined(separator: " "))")
        exit(64)
      }
      atexit { say("most memory beyond twice an input: \(Session.most >> 10) KiB") }
      // What the libraries set up once is not counted.
      for seed in session.seeds { try? session.parse(seed) }
      return session
    } catch {
      say("error: \(error)")
      exit(1)
    }
  }

  private func writeSeeds(of target: ParserTarget, to directory: String) throws {
    let foreign = try Fixtures.shared.map { try target.seeds(from: $0 + "/fixtures") } ?? []
    for (index, seed) in (seeds + foreign).enumerated() {
      try Data(seed).write(to: URL(filePath: "\(directory)/seed-\(index)"))
    }
  }

  /// Reads an input and ends the process, which libFuzzer notices, where the parser is at fault.
  func run(_ bytes: [UInt8]) {
    Meter.begin()
    Deadline.set()
    // What libFuzzer does before the next input is not the parser's time.
    defer { Deadline.clear() }
    do {
      try parse(bytes)
    } catch is Failure {
      // It was refused.
    } catch {
      say("error: \(name) threw \(error), which is not a Failure")
      abort()
    }
    let peak = Meter.peakBytes
    Self.most = max(Self.most, peak - 2 * bytes.count)
    if Self.most > Self.constant {
      say("error: \(name) took \(peak) bytes for an input of \(bytes.count)")
      abort()
    }
  }
}

/// Ends the process after a second of computing: on a busy machine the clock says nothing.
private enum Deadline {
  private static let second = itimerval(it_interval: timeval(), it_value: timeval(tv_sec: 1, tv_usec: 0))

  static func install() {
    signal(SIGPROF) { _ in
      say("error: an input took more than a second")
      abort()
    }
  }

  /// From now on.
  static func set() { start(second) }

  /// Not any more.
  static func clear() { start(itimerval()) }

  private static func start(_ timer: itimerval) {
    var timer = timer
    setitimer(CInt(ITIMER_PROF.rawValue), &timer, nil)
  }
}

/// Says something on standard error.
private func say(_ text: String) {
  let line = Array((text + "\n").utf8)
  _ = write(STDERR_FILENO, line, line.count)
}

nonisolated(unsafe) private var session: Session?

/// What libFuzzer calls once.
@_cdecl("LLVMFuzzerInitialize")
public func fuzzerInitialize(_ count: UnsafeMutablePointer<CInt>?, _ words: UnsafeMutableRawPointer?) -> CInt {
  session = Session.begin()
  Deadline.install()
  return 0
}

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzerTestOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  session?.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}
