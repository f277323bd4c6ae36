import Checkpoints
import Failures
import FoundationEssentials
import Glibc
import Randomness
import TestSupport

/// What happens to files of ours on disks, and whether any of it is loaded: opens damaged copies of a file and counts.
final class Damage {
  private let bytes: [UInt8]
  private let others: [[UInt8]]
  private let copy: String
  private let random: Philox
  /// One line for each kind of damage.
  private var lines: [String] = []
  private var silent = 0

  /// - Parameters:
  ///   - path: The file, which is whole.
  ///   - others: Other files, under whose seals it is put.
  ///   - seed: What is damaged.
  /// - Throws: `Failure` when the file is damaged already.
  init(_ path: String, others: [String], seed: UInt32) throws {
    _ = try TensorFile(opening: path)
    bytes = Array(try Data(contentsOf: URL(filePath: path)))
    self.others = try others.filter { $0 != path }.map { Array(try Data(contentsOf: URL(filePath: $0))) }
    copy = path + ".damaged"
    random = Philox(seed: seed, purpose: .test)
  }

  /// Damages copies in every way and prints how often that was noticed.
  /// - Throws: `Failure` when something damaged was loaded.
  func run(flips: Int) throws {
    defer { unlink(copy) }
    try flipBits(flips)
    let blocks = Array(stride(from: 0, to: bytes.count, by: 4096))
    try each("truncations at 4 KiB", blocks) { Array(bytes[..<$0]) }
    try each("zeroed tails", blocks) { start in
      bytes[..<start] + [UInt8](repeating: 0, count: bytes.count - start)
    }
    try each("zeroed blocks", blocks) { start in
      let end = min(start + 4096, bytes.count)
      return bytes[..<start] + [UInt8](repeating: 0, count: end - start) + bytes[end...]
    }
    try each("swapped blocks", blocks.dropLast(2)) { start in
      let other = blocks[random.index(below: blocks.count - 1, UInt32(start))]
      var swapped = bytes
      swapped.replaceSubrange(start..<start + 4096, with: bytes[other..<other + 4096])
      swapped.replaceSubrange(other..<other + 4096, with: bytes[start..<start + 4096])
      return swapped
    }
    try each("seals of other files", Array(others.indices)) { others[$0][..<512] + bytes[512...] }
    for line in lines { print(line) }
    guard silent == 0 else { throw Failure(.other, "\(silent) damaged files were loaded") }
  }

  private func flipBits(_ count: Int) throws {
    try Data(bytes).write(to: URL(filePath: copy))
    let descriptor = open(copy, O_RDWR)
    defer { close(descriptor) }
    var noticed = 0
    for flip in 0..<count {
      let place = random.index(below: bytes.count, UInt32(flip), 1)
      var byte = bytes[place] ^ 1 << UInt8(random.index(below: 8, UInt32(flip), 2))
      pwrite(descriptor, &byte, 1, place)
      if isRefused() { noticed += 1 }
      byte = bytes[place]
      pwrite(descriptor, &byte, 1, place)
    }
    note("flipped bits", noticed, of: count)
    guard !isRefused() else { throw Failure(.other, "the file that is whole again is refused") }
  }

  private func each<Case>(
    _ name: String, _ cases: some Sequence<Case>, _ damaged: (Case) -> some Sequence<UInt8>
  ) throws {
    var (noticed, count) = (0, 0)
    for one in cases {
      let content = Array(damaged(one))
      if content == bytes { continue }
      count += 1
      try Data(content).write(to: URL(filePath: copy))
      if isRefused() { noticed += 1 }
    }
    note(name, noticed, of: count)
  }

  private func note(_ name: String, _ noticed: Int, of count: Int) {
    lines.append("\(name) \(noticed) of \(count) noticed;")
    silent += count - noticed
  }

  /// Whether opening the copy ends in a sentence about its content.
  private func isRefused() -> Bool {
    do throws(Failure) {
      _ = try TensorFile(opening: copy)
      return false
    } catch {
      return error.kind == .badContent
    }
  }
}

/// Starts a program some of whose calls fail as on a bad disk.
/// - Throws: `Failure` when it cannot be started.
func startFailing(_ words: [String]) throws {
  let codes = ["ENOSPC": ENOSPC, "EIO": EIO, "EDQUOT": EDQUOT, "EACCES": EACCES, "EROFS": EROFS]
  guard words.count > 2, let call = FailingCalls.Call(rawValue: words[0]), let code = codes[words[1]] else {
    throw Failure(.usage, "expected failing, a call, an error such as EIO, and a command")
  }
  try FailingCalls(call, with: code).install()
  var command = words.dropFirst(2).map { strdup($0) as UnsafeMutablePointer<CChar>? } + [nil]
  execvp(words[2], &command)
  throw Failure(.noInput, "\(words[2]) cannot be started: \(String(cString: strerror(errno)))")
}
