import Datasets
import Failures
import Glibc
import Testing

/// A directory of its own for a test, removed with the value.
final class ScratchDirectory {
  let path: String

  init() throws {
    var template = Array("/tmp/bert-ddp-datasets-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    path = try #require(made)
  }

  deinit {
    guard let directory = opendir(path) else { return }
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      unlink("\(path)/\(name)")
    }
    closedir(directory)
    rmdir(path)
  }

  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let file = "\(path)/\(name)"
    let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    #expect(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    return file
  }
}

@Suite struct FileContentsTests {
  @Test(arguments: [0, 1, 1 << 20 - 1, 1 << 20, 1 << 20 + 1, 3_000_000]) func readsFilesWhole(_ size: Int)
    throws
  {
    let scratch = try ScratchDirectory()
    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    #expect(try fileContents(of: scratch.write(bytes, to: "file with a space")) == bytes)
  }

  @Test func aFileReadsAsItsBytesDo() throws {
    let scratch = try ScratchDirectory()
    let path = try scratch.write(Array("document\tlabel\n가\t1\n".utf8), to: "reviews.tsv")
    let data = try Dataset.labelled(path: path)
    #expect(data.name == path && data.text(0) == "가" && data.labels == [1])
    #expect(try Dataset.unlabelled(path: path).text(0) == "가")
  }

  @Test func aMissingFileIsNamed() {
    let message = failure(.noInput) { try Dataset.labelled(path: "/nonexistent/train.tsv") }
    let what = "Cannot read /nonexistent/train.tsv: No such file or directory; name a file that is there"
    #expect(message == what + ".")
    let named = failure(.noInput) { try Dataset.labelled(path: "/nonexistent/train.tsv", option: "--train-file") }
    #expect(named == what + " (--train-file).")
  }

  @Test func directoriesAndDevicesAreRefused() throws {
    let scratch = try ScratchDirectory()
    #expect(failure(.noInput) { try Dataset.labelled(path: scratch.path) }.contains("is a directory"))
    #expect(
      failure(.noInput) { try Dataset.unlabelled(path: "/dev/zero") }.contains("neither a file nor a pipe"))
  }

  /// Four tebibytes of nothing, which take no room on the disk.
  @Test func aFileLargerThanTheMemoryIsRefused() throws {
    let scratch = try ScratchDirectory()
    let path = try scratch.write([], to: "huge.tsv")
    try #require(truncate(path, 1 << 42) == 0)
    #expect(
      failure(.noInput) { try Dataset.labelled(path: path) }.contains("more than this machine's memory"))
  }

  @Test func aNamedPipeIsReadToItsEnd() async throws {
    let scratch = try ScratchDirectory()
    let pipe = "\(scratch.path)/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    let content = Array(String(repeating: "한 줄\n", count: 100_000).utf8)
    async let read = Task.detached { try Dataset.unlabelled(path: pipe) }.value
    _ = try scratch.write(content, to: "pipe")
    #expect(try await read.count == 100_000)
  }
}
