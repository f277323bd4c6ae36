internal import Collectives
internal import Glibc

/// Bytes that a process may still take without others suffering: what the system has available, or what the limit of its
/// container or job leaves.
var availableMemory: Int {
  let system = systemBytes("MemAvailable:", in: "/proc/meminfo") ?? 0
  return MemoryLimit.own.map { min(system, max(0, $0.bytes - $0.used)) } ?? system
}

/// Bytes of memory: physical, or less where a container or a job has a limit.
package var memoryBytes: Int {
  min(sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)), MemoryLimit.own?.bytes ?? .max)
}

/// The name of this host.
func hostName() -> String {
  var name = [CChar](repeating: 0, count: 256)
  gethostname(&name, name.count - 1)
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// How much memory a container (`docker --memory`) or a job of Slurm's may have, as cgroup 2 says, or cgroup 1's root.
struct MemoryLimit {
  /// The limit.
  let bytes: Int
  /// What is used of it, files that can be forgotten left out.
  let used: Int

  /// The least of the limits above this process; nil when there is none.
  static var own: MemoryLimit? {
    let root = "/sys/fs/cgroup"
    let place = lines("/proc/self/cgroup").first { $0.hasPrefix("0::") }?.dropFirst(3) ?? ""
    var folders = place.split(separator: "/").map(String.init)
    var limits = [limit(root + "/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")]
    while true {
      limits.append(limit(([root] + folders).joined(separator: "/"), "memory.max", "memory.current"))
      if folders.popLast() == nil { break }
    }
    return limits.compactMap(\.self).min { $0.bytes - $0.used < $1.bytes - $1.used }
  }

  private static func limit(_ folder: String, _ most: String, _ current: String) -> MemoryLimit? {
    func number(_ name: String) -> Int? { lines("\(folder)/\(name)").first.flatMap { Int($0) } }
    // Without a limit it is "max", or in cgroup 1 a number beyond all memory.
    guard let bytes = number(most), bytes < 1 << 60 else { return nil }
    let files = lines("\(folder)/memory.stat").first { $0.hasPrefix("inactive_file ") }
    return MemoryLimit(
      bytes: bytes, used: max(0, (number(current) ?? 0) - (files.flatMap { Int($0.dropFirst(14)) } ?? 0)))
  }
}

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

/// Hands memory that was freed back to the system, where the C library can (glibc): after large buffers it keeps up to
/// twice their size for the next ones.
func returnFreedMemory() {
  guard let symbol = dlsym(nil, "malloc_trim") else { return }
  _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> CInt).self)(0)
}
