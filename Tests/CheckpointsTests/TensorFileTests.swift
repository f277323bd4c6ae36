import Checkpoints
import Failures
import Foundation
import HDF5
import Testing

@Suite struct TensorFileTests {
  @Test(arguments: TensorSchema.Kind.allCases) func roundTrip(kind: TensorSchema.Kind) throws {
    let scratch = try Scratch()
    let step = kind == .checkpoint ? 1200 : nil
    let published = try publishSample(to: scratch.path("a.h5"), kind, step: step, seed: 3, rows: 1000)
    #expect(try readBytes(scratch.path("a.h5")).count == published.byteCount)
    #expect(try Digest.hex(of: Array(readBytes(scratch.path("a.h5"))[512...])) == published.sha256)

    let file = try TensorFile(opening: scratch.path("a.h5"), as: [kind])
    let (found, version, sha256, foundStep) = (file.kind, file.version, file.sha256, file.step)
    #expect(found == kind)
    #expect(version == 1)
    #expect(sha256 == published.sha256)
    #expect(foundStep == step)
    #expect(
      try file.entries() == [
        StoredEntry(name: "bert.pooler.dense.weight", shape: [1000, 5]),
        StoredEntry(name: "scale", shape: []),
      ])
    #expect(try values(file, "bert.pooler.dense.weight") == (0..<5000).map { Float($0) + 3 })
    #expect(try values(file, "bert.pooler.dense.weight", in: TensorSchema.firstMoment).count == 5000)
    #expect(try file.entries(TensorSchema.secondMoment) == [])
    #expect(try file.json("configuration") == Data(#"{"hidden_size":5}"#.utf8))
    #expect(try file.fileNames() == ["vocab.txt"])
    #expect(try file.bytes("vocab.txt") == Array("[PAD]\n영화\n".utf8))
    #expect(try file.text("producer") == "tests")
    #expect(try file.text("created_utc").wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil)
  }

  @Test func emptyTensorsAndLargeAttributes() throws {
    let scratch = try Scratch()
    let json = Data(("[" + String(repeating: "\"가\",", count: 50_000) + "0]").utf8)
    let writer = try TensorFileWriter(
      to: scratch.path("a.h5"), .base, producer: "tests", expectedByteCount: 0)
    try writer.setJSON("configuration", json)
    try writer.write("nothing", shape: [0, 768], UnsafeBufferPointer<Float>(start: nil, count: 0))
    try writer.writeFile("empty.txt", [])
    _ = try writer.publish()
    let file = try TensorFile(opening: scratch.path("a.h5"))
    #expect(try file.json("configuration") == json)
    #expect(try file.entries() == [StoredEntry(name: "nothing", shape: [0, 768])])
    #expect(try values(file, "nothing") == [])
    #expect(try file.bytes("empty.txt") == [])
    let has = (file.hasAttribute("producer"), file.hasAttribute("seed"))
    #expect(has == (true, false))
  }

  /// Foundation's decoder, which reads attributes in the end, would crash on the first and take the second.
  @Test(arguments: [
    (String(repeating: "[", count: 513), "nested deeper"), (#"{"a": 1, "a": 2}"#, "occurs twice"), ("", "expected"),
    (#"{"a": 1} 2"#, "follows the end"), (#"{"a": "one"}"#, "is not what bert-ddp writes there"),
  ])
  func attributesAreStrictJSON(text: String, complaint: String) throws {
    let scratch = try Scratch()
    let path = scratch.path("a.h5")
    let writer = try TensorFileWriter(to: path, .base, producer: "tests", expectedByteCount: 0)
    try writer.setText("run_state", text)
    _ = try writer.publish()
    let file = try TensorFile(opening: path)
    let refusal = failure { _ = try file.decode([String: Int].self, "run_state") }
    #expect(refusal?.kind == .badContent)
    #expect(refusal?.message.hasPrefix("\(path), attribute run_state") == true)
    #expect(refusal?.message.contains(complaint) == true, "\(String(describing: refusal))")
  }

  @Test func whatDoesNotFitNamesFileAndTensor() throws {
    let scratch = try Scratch()
    let path = scratch.path("a.h5")
    try publishSample(to: path, .base)
    let file = try TensorFile(opening: path)
    var six = [Float](repeating: 0, count: 6)
    let wrongShape = failure {
      try six.withUnsafeMutableBufferPointer {
        try file.read("bert.pooler.dense.weight", shape: [2, 3], into: $0)
      }
    }
    #expect(
      wrongShape?.message
        == "\(path): “/tensors/bert.pooler.dense.weight”: expected shape [2, 3], found [8, 5]")
    #expect(wrongShape?.kind == .badContent)
    let wrongCount = failure { try six.withUnsafeMutableBufferPointer { try file.read("scale", into: $0) } }
    #expect(wrongCount?.kind == .badContent)
    let missing = failure { try six.withUnsafeMutableBufferPointer { try file.read("absent", into: $0) } }
    #expect(missing?.message == "\(path): “/tensors/absent”: it is not in the file")
    #expect(failure { _ = try file.bytes("absent.txt") }?.kind == .badContent)
    #expect(failure { _ = try file.json("absent") }?.kind == .badContent)
    let wrongKind = failure { _ = try TensorFile(opening: path, as: [.checkpoint, .model]) }
    #expect(
      wrongKind?.message == "\(path) is a bert-ddp base; expected a bert-ddp checkpoint or bert-ddp model")
  }

  @Test(arguments: ["", ".", "..", "a/b", "/a", "a\nb", String(repeating: "x", count: 2000)])
  func impossibleNames(name: String) throws {
    let scratch = try Scratch()
    let writer = try TensorFileWriter(
      to: scratch.path("a.h5"), .base, producer: "tests", expectedByteCount: 0)
    let values: [Float] = [1]
    #expect(
      failure { try values.withUnsafeBufferPointer { try writer.write(name, shape: [1], $0) } }?.kind
        == .badContent)
    #expect(failure { try writer.writeFile(name, [1]) }?.kind == .badContent)
  }

  /// Sealed files whose content is not as the schema has it.
  @Test func strangersUnderASeal() throws {
    let scratch = try Scratch()
    func message(step: Int? = nil, _ write: (borrowing HDF5File) throws -> Void) throws -> String {
      try publish(to: scratch.path("x.h5"), expectedByteCount: 0, step: step) { file in
        try write(file)
      }
      let failure = try #require(openingFailure(scratch.path("x.h5")))
      #expect(failure.kind == .badContent)
      return failure.message
    }
    func head(_ file: borrowing HDF5File, format: String = "bert-ddp base", version: Int64 = 1) throws {
      try file.setAttribute("format", format)
      try file.setAttribute("format_version", version)
    }
    #expect(try message { _ in }.contains("“format”"))
    #expect(try message { try $0.setAttribute("format", "bert-ddp base") }.contains("“format_version”"))
    #expect(try message { try head($0, format: "keras") }.contains("unknown format “keras”"))
    #expect(try message { try head($0, version: 2) }.contains("use a newer version of bert-ddp"))
    #expect(try message { try head($0, version: 0) }.contains("format_version"))
    #expect(
      try message(step: 5) { try head($0) }.contains("the content is of step none, but the seal says 5"))
    let wrongType = try message {
      try head($0)
      try $0.createDataset("/tensors/ids", shape: [1], .int32)
    }
    #expect(wrongType.contains("“/tensors/ids”: expected float32, found int32"))
    let unwritten = try message {
      try head($0)
      try $0.createDataset("/tensors/huge", shape: [1 << 40], .float32)
    }
    #expect(unwritten.contains("/tensors/huge"))
    #expect(unwritten.contains("are not all in the file"))
  }

  @Test(.enabled(if: succeeds("h5ls", ["--version"]) || succeeds("h5ls", ["-V"]), "h5ls is not installed"))
  func h5lsAndH5dumpReadIt() throws {
    let scratch = try Scratch()
    try publishSample(to: scratch.path("a.h5"), step: 3)
    let listing = try run("h5ls", ["-r", scratch.path("a.h5")])
    #expect(listing.status == 0)
    #expect(listing.output.contains("/tensors/bert.pooler.dense.weight Dataset {8, 5}"))
    let dump = try run("h5dump", ["-A", scratch.path("a.h5")])
    #expect(dump.status == 0)
    #expect(dump.output.contains("bert-ddp checkpoint"))
    #expect(dump.output.contains("hidden_size"))
    let digest = try run("sh", ["-c", "tail -c +513 '\(scratch.path("a.h5"))' | sha256sum"])
    let sha256 = try TensorFile(opening: scratch.path("a.h5")).sha256
    #expect(digest.output.hasPrefix(sha256))
  }

  /// The Python to ask: of `BERT_DDP_PYTHON`, or the one of the path.
  static let python = ProcessInfo.processInfo.environment["BERT_DDP_PYTHON"] ?? "python3"

  @Test(.enabled(if: succeeds(python, ["-c", "import h5py"]), "h5py is not installed"))
  func h5pyReadsIt() throws {
    let scratch = try Scratch()
    try publishSample(to: scratch.path("a.h5"), step: 3, seed: 0.5)
    let script = """
      import h5py, json, numpy, sys
      with h5py.File(sys.argv[1]) as f:
          assert f.userblock_size == 512
          assert f.attrs['format'].decode() == 'bert-ddp checkpoint', f.attrs['format']
          assert f.attrs['step'] == 3
          assert json.loads(f.attrs['configuration'])['hidden_size'] == 5
          w = f['tensors/bert.pooler.dense.weight']
          assert w.dtype == numpy.dtype('<f4') and w.shape == (8, 5)
          assert w.fletcher32 and w.compression is None
          assert (w[...] == numpy.arange(40).reshape(8, 5) + 0.5).all()
          assert w.attrs['shape_order'].decode() == '[out, in]'
          assert bytes(f['files/vocab.txt'][...]).decode() == '[PAD]\\n영화\\n'
          assert f['tensors/scale'][()] == 0.5
      print('all read')
      """
    let answer = try run(Self.python, ["-c", script, scratch.path("a.h5")])
    #expect(answer.output == "all read\n")
  }
}
