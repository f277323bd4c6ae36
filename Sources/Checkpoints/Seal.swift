internal import Failures

/// The first 512 bytes of a published file: text that says what must follow, down to the last bit.
///
/// A seal is valid only if it is, byte for byte, the text that its values make; so each of its bits counts
/// too.
struct Seal: Equatable, Sendable {
  /// Bytes of the seal; HDF5 looks for the file that it heads at 0, 512, 1024 and so on.
  static let byteCount = 512
  /// The version of the seal's form.
  static let version = 1

  /// Bytes that follow the seal.
  let bodyByteCount: Int
  /// SHA-256 of the bytes that follow the seal, in hexadecimal.
  let sha256: String
  /// The step of a checkpoint; it lets the newest of several be found without reading all of them.
  let step: Int?

  /// The seal as it stands in the file.
  var bytes: [UInt8] {
    let values = """
      \(Self.magic)\(Self.version)
      length \(bodyByteCount)
      sha256 \(sha256)
      step \(step.map(String.init) ?? "none")

      """
    let text = """
      \(values)check \(Digest.hex(of: Array(values.utf8)))
      What follows these 512 bytes is an HDF5 file; h5ls, h5dump and h5py read the whole as it is.
      To check it: tail -c +513 FILE | sha256sum   must print the sha256 above.

      """
    // At most 20 digits in a length and a step: the text never reaches 512 bytes.
    let padding = [UInt8](repeating: UInt8(ascii: " "), count: Self.byteCount - 1 - text.utf8.count)
    return Array(text.utf8) + padding + [UInt8(ascii: "\n")]
  }

  private static let magic = "bert-ddp seal "

  /// A seal for a body.
  init(bodyByteCount: Int, sha256: String, step: Int?) {
    self.bodyByteCount = bodyByteCount
    self.sha256 = sha256
    self.step = step
  }

  /// Reads the seal of a file from its first 512 bytes, or from all it has.
  init(_ bytes: [UInt8], path: String) throws(Failure) {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 5).map {
      String(decoding: $0, as: UTF8.self)
    }
    guard let first = lines.first, first.hasPrefix(Self.magic) else {
      throw Failure(.badContent, "\(path) \(Self.describeForeign(bytes))")
    }
    guard first == Self.magic + String(Self.version) else {
      throw Failure(
        .badContent,
        "\(path) is sealed in form “\(first.dropFirst(Self.magic.count).prefix(20))”, "
          + "and this program knows form \(Self.version): it is damaged, "
          + "or of a newer version of bert-ddp, which can read it"
      )
    }
    func value(_ line: Int, _ name: String) -> Substring? {
      lines.count > line && lines[line].hasPrefix(name + " ") ? lines[line].dropFirst(name.count + 1) : nil
    }
    guard
      let length = value(1, "length").flatMap({ Int($0) }), length >= 0, let sha256 = value(2, "sha256"),
      sha256.utf8.count == 64, let step = value(3, "step"), step == "none" || (Int(step) ?? -1) >= 0
    else { throw Self.damaged(path) }
    self.init(bodyByteCount: length, sha256: String(sha256), step: Int(step))
    guard self.bytes == bytes else { throw Self.damaged(path) }
  }

  private static func damaged(_ path: String) -> Failure {
    Failure(
      .badContent, "\(path) is damaged in its first 512 bytes, its seal: use another copy, or make it again")
  }

  /// What a file without a seal of ours is, as far as its first bytes tell.
  private static func describeForeign(_ bytes: [UInt8]) -> String {
    let expected = "expected a file that bert-ddp has published"
    if bytes.isEmpty { return "is empty; \(expected)" }
    if bytes.allSatisfy({ $0 == 0 }) { return "begins with zeros: it is damaged; \(expected)" }
    if bytes.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) {
      return "is an HDF5 file without the seal of bert-ddp; \(expected)"
    }
    if bytes.starts(with: Array("PK".utf8)) {
      return "is a zip archive, such as a pytorch_model.bin; import its directory with `bert-ddp import`"
    }
    if bytes.count > 8, bytes[8] == UInt8(ascii: "{"), bytes[4..<8].allSatisfy({ $0 == 0 }) {
      return "is a safetensors file; import its directory with `bert-ddp import`"
    }
    return "is not a file of bert-ddp, or its beginning is damaged; \(expected)"
  }
}
