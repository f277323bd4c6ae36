import Checkpoints
import Failures
import Foundation
import Glibc

/// A directory of its own for a test, removed at the end.
struct Scratch: ~Copyable {
  let directory: String

  init() throws {
    directory = NSTemporaryDirectory() + "checkpoints-tests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func path(_ name: String) -> String { directory + "/" + name }
  func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: directory).sorted() }
}

func readBytes(_ path: String) throws -> [UInt8] {
  try Array(Data(contentsOf: URL(fileURLWithPath: path)))
}

func writeBytes(_ bytes: [UInt8], to path: String) throws {
  try Data(bytes).write(to: URL(fileURLWithPath: path))
}

/// Publishes a small file: two tensors of values that depend on a seed, moments, a vocabulary, a
/// configuration.
@discardableResult
func publishSample(
  to path: String, _ kind: TensorSchema.Kind = .checkpoint, step: Int? = nil, seed: Float = 0, rows: Int = 8
) throws -> Publication.Result {
  let writer = try TensorFileWriter(
    to: path, kind, producer: "tests", expectedByteCount: 40 * rows, step: step)
  try writer.setJSON("configuration", Data(#"{"hidden_size":5}"#.utf8))
  try writer.describe(TensorSchema.tensors, "parameters under their published names")
  let values = (0..<rows * 5).map { Float($0) + seed }
  try values.withUnsafeBufferPointer {
    try writer.write("bert.pooler.dense.weight", shape: [rows, 5], $0)
    try writer.write("bert.pooler.dense.weight", in: TensorSchema.firstMoment, shape: [rows, 5], $0)
  }
  try [seed].withUnsafeBufferPointer { try writer.write("scale", shape: [], $0) }
  try writer.writeFile("vocab.txt", Array("[PAD]\n영화\n".utf8))
  return try writer.publish()
}

/// The values of a tensor.
func values(_ file: borrowing TensorFile, _ name: String, in group: String = TensorSchema.tensors) throws
  -> [Float]
{
  guard let entry = try file.entries(group).first(where: { $0.name == name }) else { return [] }
  var values = [Float](repeating: .nan, count: entry.count)
  try values.withUnsafeMutableBufferPointer { try file.read(name, in: group, shape: entry.shape, into: $0) }
  return values
}

/// The failure that a call ends with.
func failure(_ body: () throws -> Void) -> Failure? {
  do { try body() } catch let failure as Failure { return failure } catch {}
  return nil
}

/// Why a path does not open as a file of ours; `nil` where it does.
func openingFailure(_ path: String) -> Failure? {
  failure {
    let file = try TensorFile(opening: path)
    for entry in try file.entries() { _ = try values(file, entry.name) }
  }
}

/// Runs a program; its exit status and what it printed.
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [program] + arguments
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let output = pipe.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

/// Whether a program runs successfully.
func succeeds(_ program: String, _ arguments: [String]) -> Bool {
  (try? run(program, arguments).status) == 0
}

/// Sets the soft limit on file sizes of this process; `nil` is none.
func limitFileSize(to byteCount: Int?) {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
  limit.rlim_cur = byteCount.map { rlim_t($0) } ?? limit.rlim_max
  setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
}
