internal import Glibc
internal import Synchronization

/// The mpirun (or its daemon on another host) above this process.
struct LauncherProcess {
  let process: pid_t
  /// Whether it is mpirun itself.
  let isMPIRun: Bool

  /// The nearest one; a script may stand between. nil when there is none.
  static let current: LauncherProcess? = {
    var process = getppid()
    for _ in 0..<8 where process > 1 {
      let name = lines("/proc/\(process)/comm").first.map(String.init) ?? ""
      if ["mpirun", "mpiexec", "orterun", "orted", "prterun", "prted"].contains(name) {
        return LauncherProcess(process: process, isMPIRun: !["orted", "prted"].contains(name))
      }
      // "PPid:	17"
      let parent = lines("/proc/\(process)/status").first { $0.hasPrefix("PPid:") }
      guard let next = parent?.split(separator: "\t").last.flatMap({ pid_t($0) }) else { return nil }
      process = next
    }
    return nil
  }()
}

/// Holds mpirun back while a checkpoint is written, and ends one that waits in vain.
///
/// An mpirun that gets SIGTERM or SIGINT passes SIGTERM on and kills all ranks a second later
/// (`odls_base_sigkill_timeout`), whatever they are writing. So the first rank of the host stops it (SIGSTOP) and lets it
/// go on when the checkpoint stands. A shell beside it lets it go on as well when this process ends in any way, or after
/// a minute and a half: mpirun never stays stopped.
enum LauncherHold {
  private struct State {
    /// The end of the shell's pipe; -1 where mpirun is not held.
    var pipeEnd: CInt = -1
    /// Whether the process is about to end, so that nothing is held any more.
    var isOver = false
  }
  private static let state = Mutex(State())

  /// Stops mpirun, where it is on this host and this is its first rank here.
  static func begin() {
    // The whole of it: what ends the process on another thread meanwhile waits, and then lets mpirun go on.
    state.withLock { if $0.pipeEnd < 0, !$0.isOver { $0.pipeEnd = hold() } }
  }

  /// - Returns: What keeps the shell waiting; -1 where nothing is held.
  private static func hold() -> CInt {
    guard
      let launcher = LauncherProcess.current?.process,
      (getenv("OMPI_COMM_WORLD_LOCAL_RANK").map { String(cString: $0) } ?? "0") == "0"
    else { return -1 }
    var ends: [CInt] = [-1, -1]
    guard pipe(&ends) == 0 else { return -1 }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    // `timeout` is everywhere; without it the shell still waits for the end of the process.
    let wait = "if command -v timeout >/dev/null; then timeout 90 cat; else cat; fi"
    guard startShell("\(wait); kill -CONT \(launcher)", reading: ends[0]) else {
      close(ends[0])
      close(ends[1])
      return -1
    }
    close(ends[0])
    kill(launcher, SIGSTOP)
    return ends[1]
  }

  /// Lets mpirun go on, for good: this process is about to end.
  static func end() {
    state.withLock {
      $0.isOver = true
      guard $0.pipeEnd >= 0, let launcher = LauncherProcess.current?.process else { return }
      kill(launcher, SIGCONT)
      close($0.pipeEnd)
      $0.pipeEnd = -1
    }
  }

  /// Sees to it that mpirun ends, where it is on this host: one that has lost a host asks it to end its ranks and waits
  /// for the answer, for as long as the network tries to deliver the question, which is a quarter of an hour.
  static func endSoon() {
    guard let launcher = LauncherProcess.current, launcher.isMPIRun else { return }
    let stays = "grep -qE '^(mpirun|mpiexec|orterun|prterun)$' /proc/\(launcher.process)/comm 2>/dev/null"
    // The first signal asks, and the next ones insist.
    _ = startShell("sleep 15; for i in 1 2 3 4; do \(stays) && kill -TERM \(launcher.process); sleep 1; done")
  }

  /// Starts a shell beside this process, in a group of its own, since mpirun kills groups.
  private static func startShell(_ script: String, reading descriptor: CInt? = nil) -> Bool {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let descriptor {
      posix_spawn_file_actions_adddup2(&actions, descriptor, STDIN_FILENO)
    } else {
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    posix_spawnattr_setpgroup(&attributes, 0)
    let words: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), strdup("-c"), strdup(script), nil]
    defer { for word in words { free(word) } }
    var process: pid_t = 0
    return posix_spawn(&process, "/bin/sh", &actions, &attributes, words, environ) == 0
  }
}
