import Glibc

/// The terminal that what this process writes ends up on.
///
/// Under `mpirun` a rank's own descriptors do not tell: Open MPI gives every local rank a pseudo-terminal as standard
/// output and a pipe as standard error, wherever its own go, and passes on what it reads. So the question is put to
/// the launcher's descriptor instead, through `/proc`; where no launcher is found among the ancestors (a remote daemon,
/// Slurm), nobody can know, and the answer is that there is none.
struct TerminalDevice: Sendable {
  /// Where the terminal can be opened to be asked for its width.
  let path: String

  /// The terminal behind a descriptor of this process; nil where there is none.
  init?(descriptor: CInt, environment: (String) -> String?) {
    guard OutputRelay.rankVariables.contains(where: { environment($0) != nil }) else {
      guard isatty(descriptor) == 1 else { return nil }
      path = "/proc/self/fd/\(descriptor)"
      return
    }
    // With a tag before each line the launcher waits for whole lines, and a redrawn line is not one.
    guard environment("OMPI_MCA_orte_tag_output") != "1" else { return nil }
    guard isatty(descriptor) == 1 || TerminalDevice.isPipe(descriptor) else { return nil }
    guard let launcher = OutputRelay.find(above: getpid()) else { return nil }
    path = "/proc/\(launcher)/fd/\(descriptor)"
    guard TerminalDevice.isTerminal(path) else { return nil }
  }

  /// The number of columns; nil where the terminal cannot be asked or does not know.
  var width: Int? {
    let descriptor = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  private static func isPipe(_ descriptor: CInt) -> Bool {
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
  }

  private static func isTerminal(_ path: String) -> Bool {
    var status = stat()
    // Only a character device is opened: opening a pipe's end could hold it open or block.
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFCHR else { return false }
    let descriptor = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
    if descriptor < 0 { return isTerminalByName(path) }
    defer { close(descriptor) }
    return isatty(descriptor) == 1
  }

  /// A terminal of another user (after `su`) cannot be opened, but its name says what it is.
  private static func isTerminalByName(_ path: String) -> Bool {
    withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
      guard let start = buffer.baseAddress else { return false }
      let length = readlink(path, start.assumingMemoryBound(to: CChar.self), buffer.count)
      guard length > 0 else { return false }
      let target = String(decoding: buffer.prefix(length), as: UTF8.self)
      return target.hasPrefix("/dev/pts/") || target.hasPrefix("/dev/tty")
    }
  }
}

/// The process that started this rank and passes on its output.
package enum OutputRelay {
  /// Variables that a rank finds in its environment, of which one is enough.
  package static let rankVariables = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"]
  private static let names: Set<String> = ["mpirun", "mpiexec", "orterun", "prterun", "prun"]

  /// The nearest ancestor that is a launcher; nil where there is none on this host.
  package static func find(above process: Int32, entry: (Int32) -> Entry? = Entry.init(process:)) -> Int32? {
    var current = process
    for _ in 0..<32 {
      guard let parent = entry(current)?.parent, parent > 1 else { return nil }
      if let name = entry(parent)?.name, names.contains(name) { return parent }
      current = parent
    }
    return nil
  }

  /// What `/proc/PID/stat` says of a process.
  package struct Entry: Equatable, Sendable {
    /// The name of the program, cut to 15 bytes by the kernel.
    package var name: String
    /// The process that started it.
    package var parent: Int32

    /// Reads the entry of a running process; nil where there is none.
    package init?(process: Int32) {
      let descriptor = open("/proc/\(process)/stat", O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return nil }
      defer { close(descriptor) }
      var bytes = [UInt8](repeating: 0, count: 1024)
      let length = read(descriptor, &bytes, bytes.count)
      guard length > 0 else { return nil }
      self.init(line: String(decoding: bytes.prefix(length), as: UTF8.self))
    }

    /// A line `PID (NAME) STATE PARENT …`; the name may itself contain spaces and parentheses.
    package init?(line: String) {
      guard let opening = line.firstIndex(of: "("), let closing = line.lastIndex(of: ")"),
        opening < closing
      else { return nil }
      let rest = line[closing...].dropFirst().split(separator: " ")
      guard rest.count >= 2, let parent = Int32(rest[1]) else { return nil }
      name = String(line[line.index(after: opening)..<closing])
      self.parent = parent
    }
  }
}
