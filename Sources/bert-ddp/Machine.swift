import FoundationEssentials
import Glibc
import Training

/// What the system says of the machine.
enum Machine {
  /// The processor's name.
  static var processor: String {
    let lines = text("/proc/cpuinfo").split(separator: "\n")
    let names = ["model name", "Model", "cpu model"]
    for name in names {
      if let line = lines.first(where: { $0.hasPrefix(name) }), let colon = line.firstIndex(of: ":") {
        return line[line.index(after: colon)...].split(separator: " ").joined(separator: " ")
      }
    }
    return "unknown"
  }

  /// Kernel and architecture.
  static var system: String {
    func line(_ path: String) -> String { text(path).split(separator: "\n").first.map(String.init) ?? "" }
    let name = text("/etc/os-release").split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
      .map { $0.dropFirst(12).filter { $0 != "\"" } }
    return ["Linux " + line("/proc/sys/kernel/osrelease"), name ?? ""].filter { !$0.isEmpty }.joined(separator: ", ")
  }

  /// The content of a small file of the system; empty when it cannot be read.
  static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
}
