import Failures
import FoundationEssentials
import Glibc
import ParserTargets
import TestSupport

// What libFuzzer calls; see launch/fuzz. FUZZ_TARGET says which parser; with FUZZ_SEEDS a directory is filled with what
// to begin with, and nothing is fuzzed.

/// The parser of this process.
private struct Session {
  let target: ParserTarget
  let folder: TemporaryDirectory

  /// Takes the parser from the environment.
  static func begin() -> Session {
    guard let name = getenv("FUZZ_TARGET"), let target = ParserTarget(rawValue: String(cString: name)) else {
      let names = ParserTarget.allCases.map(\.rawValue).joined(separator: " ")
      say("error: FUZZ_TARGET is one of \(names)")
      exit(64)
    }
    do {
      let session = Session(target: target, folder: try TemporaryDirectory())
      if let directory = getenv("FUZZ_SEEDS") {
        try session.writeSeeds(to: String(cString: directory))
        exit(0)
      }
      return session
    } catch {
      say("error: \(error)")
      exit(1)
    }
  }

  private func writeSeeds(to directory: String) throws {
    var seeds = try target.seeds()
    if let shared = Fixtures.shared { seeds += try target.seeds(from: shared + "/fixtures") }
    for (index, seed) in seeds.enumerated() {
      try Data(seed).write(to: URL(filePath: "\(directory)/seed-\(index)"))
    }
    try? FileManager.default.removeItem(atPath: folder.path)
  }

  /// Reads an input and ends the process, which libFuzzer notices, where the parser is at fault.
  func run(_ bytes: [UInt8]) {
    Meter.begin()
    let start = processorSeconds()
    do {
      try target.run(bytes, in: folder)
    } catch is Failure {
      // It was refused.
    } catch {
      say("error: \(target) threw \(error), which is not a Failure")
      abort()
    }
    let seconds = processorSeconds() - start
    if seconds > 1 {
      say("error: \(target) took \(seconds) s for an input of \(bytes.count) bytes")
      abort()
    }
    let peak = Meter.peakBytes
    if peak > 2 * bytes.count + Meter.constant {
      say("error: \(target) took \(peak) bytes for an input of \(bytes.count)")
      abort()
    }
  }
}

/// Bytes that are allocated, as the address sanitizer tells of them.
private enum Meter {
  /// What a parser may take whatever its input: buffers, tables of the libraries, the copy of the input that is read.
  static let constant = 8 << 20
  nonisolated(unsafe) private static var now = 0
  nonisolated(unsafe) private static var peak = 0

  static var peakBytes: Int { peak }

  static func install() {
    _ = installHooks(
      { _, size in
        Meter.now += size
        if Meter.now > Meter.peak { Meter.peak = Meter.now }
      },
      { pointer in if let pointer { Meter.now -= allocatedSize(pointer) } })
  }

  static func begin() { (now, peak) = (0, 0) }
}

@_silgen_name("__sanitizer_install_malloc_and_free_hooks")
private func installHooks(
  _ allocated: @convention(c) (UnsafeRawPointer?, Int) -> Void, _ freed: @convention(c) (UnsafeRawPointer?) -> Void
) -> CInt

@_silgen_name("__sanitizer_get_allocated_size")
private func allocatedSize(_ pointer: UnsafeRawPointer) -> Int

/// What this process has computed: on a busy machine the clock says nothing.
private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
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
  // What the libraries set up once is not counted.
  if let session {
    for seed in (try? session.target.seeds()) ?? [] { try? session.target.run(seed, in: session.folder) }
  }
  Meter.install()
  return 0
}

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzerTestOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  session?.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}
