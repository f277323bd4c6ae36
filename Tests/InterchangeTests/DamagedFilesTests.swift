import Failures
import Glibc
import Interchange
import TestSupport
import Testing

/// Files cut short anywhere or with any bit flipped: read as they are or refused with a sentence, never a
/// crash.
@Suite struct DamagedFilesTests {
  /// A small generator of its own, so that a failure can be repeated.
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state ^ state >> 33) &* 0xFF51_AFD7_ED55_8CCD ^ state >> 29
    }
  }

  enum Sample: CaseIterable {
    case safetensors, zip, wideZip, stream

    var bytes: [UInt8] {
      switch self {
      case .safetensors: Samples.plainSafetensors
      case .zip: Samples.torchZip(PyTorchTests.plain, storages: [PyTorchTests.storage])
      case .wideZip: Samples.torchZip(PyTorchTests.plain, storages: [PyTorchTests.storage], isWide: true)
      case .stream: Samples.torchStream(PyTorchTests.plain, storages: [("0", 8, PyTorchTests.storage)])
      }
    }
  }

  static let published = [
    "odd_zip.bin", "odd_legacy.bin", "odd_nested_zip.bin", "evil_zip.bin", "odd_expected.safetensors",
  ]

  /// Reads everything; true when it was refused with a failure about the content.
  private func isRefused(_ bytes: [UInt8], _ file: InPlaceFile) throws -> Bool {
    file.replace(with: bytes)
    do {
      let archive = try TensorArchive(opening: file.path, unwrapping: ["model"])
      for entry in archive.entries {
        if entry.element.isWeight { _ = try archive.floats(entry.name) }
        if entry.element.isInteger { _ = try archive.integers(entry.name) }
      }
      return false
    } catch let failure as Failure {
      #expect(failure.kind == .badContent, "\(failure)")
      return true
    }
  }

  private func truncate(_ bytes: [UInt8], _ name: String) throws {
    let file = try InPlaceFile()
    for count in bytes.indices {
      #expect(try isRefused(Array(bytes[..<count]), file), "\(name) cut after \(count) bytes")
    }
  }

  private func flip(_ bytes: [UInt8], times: Int) throws {
    let file = try InPlaceFile()
    var generator = Generator(state: UInt64(bytes.count))
    for _ in 0..<times {
      var damaged = bytes
      for _ in 0...Int.random(in: 0..<3, using: &generator) {
        let value = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator)]
        damaged[Int.random(in: damaged.indices, using: &generator)] =
          value.randomElement(using: &generator) ?? 0
      }
      _ = try isRefused(damaged, file)
    }
  }

  @Test(arguments: Sample.allCases) func truncationIsRefused(sample: Sample) throws {
    let file = try InPlaceFile()
    #expect(try !isRefused(sample.bytes, file))
    try truncate(sample.bytes, "\(sample)")
  }

  @Test(arguments: Sample.allCases) func damageIsSurvived(sample: Sample) throws {
    let bytes = sample.bytes
    try flip(bytes, times: 2000)
    // Every bit of the file, one at a time.
    let file = try InPlaceFile()
    for bit in 0..<(8 * bytes.count) {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      _ = try isRefused(damaged, file)
    }
  }

  /// The old form has no directory at its end: the object alone says how much belongs to it.
  @Test(.enabled(if: Fixtures.areAvailable), arguments: published)
  func damageToPublishedFilesIsSurvived(name: String) throws {
    let bytes = try Fixtures.bytes("fixtures/ckpt/odd_pickles/" + name)
    try truncate(bytes, name)
    try flip(bytes, times: 3000)
  }

  @Test(
    .enabled(if: Fixtures.areAvailable),
    arguments: [
      "seqcls/model.safetensors", "seqcls_bin/pytorch_model.bin", "seqcls_bin_legacy/pytorch_model.bin",
    ])
  func largeFilesCutShortAreRefused(name: String) throws {
    let bytes = try Fixtures.bytes("fixtures/ckpt/" + name)
    let file = try InPlaceFile()
    var generator = Generator(state: 7)
    for _ in 0..<50 {
      let count = Int.random(in: bytes.indices, using: &generator)
      #expect(try isRefused(Array(bytes[..<count]), file), "\(name) cut after \(count) bytes")
    }
  }

  /// Sizes that a few bytes declare: the reader must look at the file's size before it allocates.
  @Test func declaredSizesAreNotAllocated() throws {
    let before = peakByteCount()
    let file = try InPlaceFile()
    let length = Samples.littleEndian(99_000_000, 8) + Array("{".utf8)
    let shape = Samples.safetensors(
      #"{"a":{"dtype":"F32","shape":[68719476736],"data_offsets":[0,274877906944]}}"#)
    let text = Samples.torchZip([0x80, 2, 0x58, 0, 0, 0, 0x70])
    let memo = Samples.torchZip([0x80, 2, 0x4E, 0x72, 0, 0, 0, 0x70, 0x2E])
    let storage = Pickle.tensor(Pickle.storage(count: 1 << 36), [1 << 36], [1])
    let zip = Samples.torchZip(Pickle.file(Pickle.dictionary([("w", storage)])), storages: [[1, 2, 3, 4]])
    let stream = Samples.torchStream(
      Pickle.file(Pickle.dictionary([("w", storage)])), storages: [("0", 1 << 36, [1, 2, 3, 4])])
    for bytes in [length, shape, text, memo, zip, stream] {
      #expect(try isRefused(bytes, file))
    }
    // Tests beside this one allocate too, but not gigabytes.
    #expect(peakByteCount() - before < 1 << 30)
  }

  /// The most memory that the process has had.
  private func peakByteCount() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}

/// A file whose content can be replaced thousands of times quickly.
private final class InPlaceFile {
  private let directory: TemporaryDirectory
  private let descriptor: Int32
  let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path("file")
    descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0)
  }

  deinit { close(descriptor) }

  func replace(with bytes: [UInt8]) {
    bytes.withUnsafeBytes { #expect(pwrite(descriptor, $0.baseAddress, $0.count, 0) == $0.count) }
    // Last, and not to nothing first: some file systems then write every version to the disk.
    #expect(ftruncate(descriptor, bytes.count) == 0)
  }
}
