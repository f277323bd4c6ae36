import Foundation
import TensorBoard
import TestSupport
import Testing

/// Event files, decoded here from the formats' specifications, and by TensorBoard's own reader where it is installed.
@Suite("Event files") struct EventFileTests {
  @Test(
    "CRC-32C of RFC 3720's examples",
    arguments: [
      (Array("123456789".utf8), 0xE306_9283), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
      ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E), ([], 0),
    ] as [([UInt8], UInt32)])
  func checks(_ bytes: [UInt8], _ expected: UInt32) { #expect(crc32c(bytes) == expected) }

  private func written(in directory: TemporaryDirectory) throws -> EventFile {
    let file = try EventFile(in: directory.path + "/tensorboard", after: 0) { 1_700_000_000.5 }
    try file.append([("train/loss", 0.693), ("train/learning_rate", 2e-5)], step: 50)
    try file.append([("test/accuracy", 0.871)], step: 300)
    try file.append([], step: 301)
    return file
  }

  @Test("A file is framed, checked and says what was added")
  func decoding() throws {
    let directory = try TemporaryDirectory()
    let path = try written(in: directory).path
    #expect(path.contains("/events.out.tfevents.1700000000."))
    let events = try records(Array(Data(contentsOf: URL(filePath: path)))).map(Message.init)
    #expect(events.count == 3)
    #expect(events[0].text(3) == "brain.Event:2")
    #expect(events.allSatisfy { $0.double(1) == 1_700_000_000.5 })
    #expect(events.map { $0.varint(2) } == [nil, 50, 300])
    let summary = try #require(events[1].messages(5).first)
    let values = summary.messages(1)
    #expect(values.map { $0.text(1) } == ["train/loss", "train/learning_rate"])
    #expect(values.map { $0.float(2) } == [Float(0.693), Float(2e-5)])
  }

  @Test("A file of a run that goes on begins a session after its step")
  func restarting() throws {
    let directory = try TemporaryDirectory()
    let path = try EventFile(in: directory.path + "/tensorboard", after: 120).path
    let events = try records(Array(Data(contentsOf: URL(filePath: path)))).map(Message.init)
    #expect(events.count == 2)
    #expect(events[1].varint(2) == 121)
    #expect(events[1].messages(7).first?.varint(1) == 1)
    let second = try EventFile(in: directory.path + "/tensorboard", after: 120)
    #expect(second.path != path)
  }

  @Test(
    "Every field of a size: varints of one to ten bytes come back", arguments: [1, 127, 128, 300, 1 << 35, Int.max])
  func varints(_ step: Int) throws {
    let directory = try TemporaryDirectory()
    let file = try EventFile(in: directory.path + "/t", after: 0)
    try file.append([("x", 1)], step: step)
    let events = try records(Array(Data(contentsOf: URL(filePath: file.path)))).map(Message.init)
    #expect(events.last?.varint(2) == UInt64(step))
  }

  @Test(
    "TensorBoard's own reader finds the scalars",
    .enabled(
      if: TensorBoardReader.python != nil, "no Python with tensorboard: install it, or name one in BERT_DDP_PEERS"))
  func ownReader() throws {
    let directory = try TemporaryDirectory()
    _ = try written(in: directory)
    let output = try TensorBoardReader.scalars(in: directory.path + "/tensorboard")
    #expect(
      output.split(separator: "\n") == [
        "test/accuracy 300 0.871", "train/learning_rate 50 2e-05", "train/loss 50 0.693",
      ])
  }

  // MARK: Decoding

  private struct Damaged: Error {}

  /// The data of a series of TFRecords, each length and each datum checked.
  private func records(_ bytes: [UInt8]) throws -> [[UInt8]] {
    var rest = bytes[...]
    var records: [[UInt8]] = []
    func take(_ count: Int) throws -> [UInt8] {
      guard rest.count >= count else { throw Damaged() }
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
    func number(_ bytes: [UInt8]) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    while !rest.isEmpty {
      let length = try take(8)
      guard number(try take(4)) == UInt64(masked(length)) else { throw Damaged() }
      let data = try take(Int(number(length)))
      guard number(try take(4)) == UInt64(masked(data)) else { throw Damaged() }
      records.append(data)
    }
    return records
  }

  /// The mask of TFRecord over a check that is computed bit by bit.
  private func masked(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
    crc = ~crc
    return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
  }

  /// A protocol buffer message taken apart.
  private struct Message {
    private var fields: [(number: Int, bytes: [UInt8])] = []

    init(_ bytes: [UInt8]) {
      var rest = bytes[...]
      func varint() -> UInt64 {
        var (value, shift) = (UInt64(0), UInt64(0))
        while let byte = rest.popFirst() {
          value |= UInt64(byte & 0x7F) << shift
          if byte < 0x80 { break }
          shift += 7
        }
        return value
      }
      while !rest.isEmpty {
        let key = varint()
        let count: Int
        switch key & 7 {
        case 0:
          let value = varint()
          fields.append((Int(key >> 3), withUnsafeBytes(of: value) { Array($0) }))
          continue
        case 1: count = 8
        case 5: count = 4
        default: count = Int(varint())
        }
        fields.append((Int(key >> 3), Array(rest.prefix(count))))
        rest = rest.dropFirst(count)
      }
    }

    private func all(_ number: Int) -> [[UInt8]] { fields.filter { $0.number == number }.map(\.bytes) }
    func varint(_ number: Int) -> UInt64? { all(number).first?.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    func double(_ number: Int) -> Double? { varint(number).map(Double.init(bitPattern:)) }
    func float(_ number: Int) -> Float? { varint(number).map { Float(bitPattern: UInt32($0)) } }
    func text(_ number: Int) -> String? { all(number).first.map { String(decoding: $0, as: UTF8.self) } }
    func messages(_ number: Int) -> [Message] { all(number).map(Message.init) }
  }
}

/// TensorBoard's event accumulator, in a Python that has it.
private enum TensorBoardReader {
  /// The Python of `BERT_DDP_PEERS`, or `python3`; nil when neither has TensorBoard.
  static let python: String? = {
    let peers = ProcessInfo.processInfo.environment["BERT_DDP_PEERS"].map { [$0 + "/bin/python"] } ?? []
    return (peers + ["python3"]).first { (try? run($0, "import tensorboard"))?.status == 0 }
  }()

  static func scalars(in directory: String) throws -> String {
    let script = """
      from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
      events = EventAccumulator("\(directory)"); events.Reload()
      for tag in sorted(events.Tags()["scalars"]):
        for scalar in events.Scalars(tag): print(tag, scalar.step, f"{scalar.value:.6g}")
      """
    return try run(python ?? "", script).output
  }

  private static func run(_ python: String, _ script: String) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [python, "-c", script]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, output)
  }
}
