import Failures
import Foundation
import Interchange
import JSON
import TestSupport
import Testing

private let peers = ProcessInfo.processInfo.environment["BERT_DDP_PEERS"]

/// Folders that are written here, loaded by the real libraries: `Tests/Interop/round_trip.py`, run by the Python of the
/// environment that the variable `BERT_DDP_PEERS` names.
@Suite(.enabled(if: Fixtures.areAvailable && peers != nil))
struct InteropTests {
  private struct Case: Encodable {
    var kind: String
    var written: String
    var original: String?
    var adapters: [String] = []
  }

  private func source(_ archive: TensorArchive) -> TensorSource { { try archive.read($0.name, into: $1) } }

  /// Runs the script and returns its status and what it printed.
  private func run(_ cases: [Case], in directory: TemporaryDirectory) throws -> (Int32, String) {
    let file = try directory.write(Array(JSONEncoder().encode(cases)), to: "cases.json")
    let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Interop/round_trip.py")
    let process = Process()
    process.executableURL = URL(filePath: (peers ?? "") + "/bin/python")
    process.arguments = [script.path(), try Fixtures.path("fixtures/ckpt/seqcls"), file]
    process.environment = ProcessInfo.processInfo.environment.merging(["PYTHONDONTWRITEBYTECODE": "1"]) { $1 }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    print(output)
    return (process.terminationStatus, output)
  }

  @Test func librariesLoadWhatIsWritten() throws {
    try withTemporaryDirectory { directory in
      var cases: [Case] = []
      for name in PublishedAdaptersTests.peft {
        let path = try Fixtures.path("fixtures/peft/" + name)
        let folder = try PEFTFolder(opening: path)
        let copy = directory.path("peft-" + name)
        try PEFTFolder.write(
          folder.configuration, tensors: folder.tensors.entries, to: copy, source: source(folder.tensors))
        cases.append(Case(kind: "peft", written: copy, original: path))
      }
      for name in PublishedAdaptersTests.current + ["legacy_lang_ko", "legacy_lang_ko_noprefix"] {
        let path = try Fixtures.path("fixtures/adapterhub/" + name)
        let copy = directory.path("ah-" + name.replacing("/", with: "-"))
        try write(AdapterHubAdapter(opening: path), to: copy)
        cases.append(Case(kind: "adapter", written: copy, original: path))
      }
      for name in ["fusion_ab", "fusion_ab_safetensors", "fusion_static"] {
        let path = try Fixtures.path("fixtures/adapterhub/" + name)
        let copy = directory.path("ah-" + name)
        try write(AdapterHubFusion(opening: path), to: copy)
        let parts = ["ah-task_a", "ah-task_b"].map(directory.path)
        cases.append(Case(kind: "fusion", written: copy, original: path, adapters: parts))
      }
      try writeSetup(to: directory.path("ah-setup"))
      cases.append(Case(kind: "setup", written: directory.path("ah-setup"), original: nil))
      try writeModel(to: directory.path("hf"))
      cases.append(
        Case(
          kind: "model", written: directory.path("hf"), original: try Fixtures.path("fixtures/ckpt/seqcls")))
      let (status, output) = try run(cases, in: directory)
      #expect(status == 0, "\(output)")
      #expect(output.contains("\(cases.count) of \(cases.count) pass"))
    }
  }

  /// The script has to notice what the libraries pass over; each of these folders is bad in one way.
  @Test func scriptNoticesWhatLibrariesPassOver() throws {
    try withTemporaryDirectory { directory in
      let (peft, hub) = (
        try Fixtures.path("fixtures/peft/lora"), try Fixtures.path("fixtures/adapterhub/pfeiffer")
      )
      let folder = try PEFTFolder(opening: peft)
      let bad = ["less", "more", "changed", "headless", "bin"].map(directory.path)
      func rewrite(_ path: String, _ change: ([TensorEntry]) -> [TensorEntry], _ factor: Float = 1) throws {
        let archive = try TensorArchive(opening: path)
        let numbers = try Dictionary(
          uniqueKeysWithValues: archive.entries.map { ($0.name, try archive.floats($0.name)) })
        try SafeTensors.write(change(archive.entries), to: path) { entry, buffer in
          for (index, number) in (numbers[entry.name] ?? []).enumerated() { buffer[index] = number * factor }
        }
      }
      for path in bad[..<3] {
        try PEFTFolder.write(
          folder.configuration, tensors: folder.tensors.entries, to: path, source: source(folder.tensors))
      }
      try rewrite(
        bad[0] + "/adapter_model.safetensors",
        { $0.filter { !$0.name.contains("2.attention.self.query.lora_B") } })
      try rewrite(
        bad[1] + "/adapter_model.safetensors", { $0 + [TensorEntry(name: "base_model.model.x", shape: [1])] })
      try rewrite(bad[2] + "/adapter_model.safetensors", { $0 }, 1.01)
      for path in bad[3...] { try write(AdapterHubAdapter(opening: hub), to: path) }
      let head = try JSONValue(contentsOf: bad[3] + "/head_config.json")
      try directory.write(
        replacing("model_class", .string("BertForMaskedLM"), in: head), to: "headless/head_config.json")
      try rewrite(bad[4] + "/adapter.safetensors", { $0 }, 1.01)
      let kinds = ["peft", "peft", "peft", "adapter", "adapter"]
      let cases = zip(kinds, bad).map { Case(kind: $0, written: $1, original: $0 == "peft" ? peft : hub) }
      let (status, output) = try run(cases, in: directory)
      #expect(status == 1 && output.contains("0 of \(cases.count) pass"), "\(output)")
    }
  }

  private func write(_ adapter: AdapterHubAdapter, to path: String) throws {
    let head = adapter.head.map { AdapterHubHeadDraft($0.configuration, source: source($0.tensors)) }
    try AdapterHubAdapter.write(
      adapter.configuration, named: adapter.name, model: adapter.model, shape: PublishedAdaptersTests.shape,
      head: head, to: path, source: source(adapter.tensors))
  }

  private func write(_ fusion: AdapterHubFusion, to path: String) throws {
    try AdapterHubFusion.write(
      fusion.configuration, sites: fusion.sites, model: fusion.model, hiddenSize: 64, to: path,
      source: source(fusion.tensors))
  }

  /// Stack(ko, Fuse(a, b)).
  private func writeSetup(to path: String) throws {
    let folders = ["ko": "lang_ko", "a": "task_a", "b": "task_b"]
    try AdapterHubSetup.write(
      .stack([.single("ko"), .fuse([.single("a"), .single("b")])]), to: path
    ) { name, path in
      let folder = try Fixtures.path("fixtures/adapterhub/" + (folders[name] ?? ""))
      try write(AdapterHubAdapter(opening: folder), to: path)
    } fusion: { _, path in
      try write(AdapterHubFusion(opening: Fixtures.path("fixtures/adapterhub/fusion_ab")), to: path)
    }
  }

  private func writeModel(to path: String) throws {
    let base = try CheckpointDirectory(opening: Fixtures.path("fixtures/ckpt/seqcls"))
    try CheckpointDirectory.write(
      configuration: base.configuration, as: .classifier(labels: ["negative", "positive"]),
      tensors: base.weights.entries,
      sideFiles: [.vocabulary: Array("[PAD]\n".utf8)], to: path, source: source(base.weights))
  }
}
