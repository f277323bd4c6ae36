internal import Glibc

/// A figure of `/proc` that stands in kibibytes after its name, such as `MemAvailable: 22000000 kB`.
/// - Parameters:
///   - name: With its colon.
///   - path: The file.
/// - Returns: Bytes; nil where the system has no such file or figure.
func systemBytes(_ name: String, in path: String) -> Int? {
  guard let file = fopen(path, "r") else { return nil }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 256)
  while fgets(&line, CInt(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard text.hasPrefix(name) else { continue }
    return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
  }
  return nil
}
