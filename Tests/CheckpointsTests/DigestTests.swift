import Checkpoints
import Failures
import Testing

@Suite struct DigestTests {
  /// FIPS 180-4's examples.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  ])
  func knownDigests(text: String, expected: String) throws {
    let scratch = try Scratch()
    try writeBytes(Array(text.utf8), to: scratch.path("x"))
    #expect(Digest.hex(of: Array(text.utf8)) == expected)
    #expect(try Digest.hex(ofFile: scratch.path("x")) == expected)
    #expect(Array(text.utf8).withUnsafeBytes { Digest.hex(of: $0) } == expected)
  }

  @Test func largeFilesAsSha256sum() throws {
    let scratch = try Scratch()
    for count in [1 << 18, (1 << 18) + 1, 3_000_000] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
      try writeBytes(bytes, to: scratch.path("x"))
      #expect(try Digest.hex(ofFile: scratch.path("x")) == Digest.hex(of: bytes))
    }
    #expect(failure { _ = try Digest.hex(ofFile: scratch.path("none")) }?.kind == .noInput)
  }
}
