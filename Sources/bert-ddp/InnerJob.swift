import Collectives
import Failures
import FoundationEssentials
import Glibc
import Training

/// A training job of this program under a launcher of its own, for commands that start several and compare them.
struct InnerJob {
  /// The launcher's process.
  let process: pid_t
  private let log: String

  /// How a job is started.
  struct Launch {
    /// What starts the ranks.
    enum Program: String, CaseIterable {
      /// Open MPI's.
      case mpirun
      /// Slurm's, inside an allocation.
      case srun
    }

    var program = Program.mpirun
    var ranks: Int
    /// Further flags of the program.
    var flags: [String] = []

    /// The program that suits where this process runs: srun inside a Slurm allocation, mpirun elsewhere.
    static var usual: Program {
      ProcessInfo.processInfo.environment["SLURM_JOB_ID"] == nil ? .mpirun : .srun
    }

    fileprivate var words: [String] { [program.rawValue, program == .mpirun ? "-np" : "--ntasks", "\(ranks)"] + flags }
  }

  /// Starts a job; what it says goes to a file.
  /// - Throws: `Failure` when there is no mpirun.
  init(ranks: Int, _ arguments: [String], log: String) throws {
    try self.init(Launch(ranks: ranks), arguments, log: log)
  }

  /// Starts a job; what it says goes to a file.
  /// - Throws: `Failure` when there is no such launcher.
  init(_ launch: Launch, _ arguments: [String], log: String) throws {
    self.log = log
    guard let path = ProgramFile.path else {
      throw Failure(.other, "/proc/self/exe cannot be read, so this program does not know where it is.")
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    let launcher = launch.program.rawValue
    var words = (launch.words + [path] + arguments).map { strdup($0) as UnsafeMutablePointer<CChar>? }
    var environment = InnerJob.environment().map { strdup($0) as UnsafeMutablePointer<CChar>? }
    words.append(nil)
    environment.append(nil)
    defer { for word in words + environment { free(word) } }
    var process: pid_t = 0
    // Where it was ignored when this program started, the job's own status would be lost.
    signal(SIGCHLD, SIG_DFL)
    let status = posix_spawnp(&process, launcher, &actions, nil, words, environment)
    guard status == 0 else {
      throw Failure(
        .other,
        "\(launcher) cannot be started: \(String(cString: strerror(status))); is \(launch.program == .mpirun ? "Open MPI" : "Slurm") on the PATH?"
      )
    }
    self.process = process
  }

  /// This program's environment, and what mpirun has to be told here: that root is meant, and ranks beyond the cores.
  private static func environment() -> [String] {
    var values = ProcessInfo.processInfo.environment
    if getuid() == 0 {
      for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] { values[name] = "1" }
    }
    // Open MPI 4's name, and 5's.
    for (name, value) in [
      ("OMPI_MCA_rmaps_base_oversubscribe", "1"), ("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"),
    ] { values[name] = values[name] ?? value }
    return values.map { "\($0.key)=\($0.value)" }
  }

  /// The status it ended with, as a shell has it; nil while it runs.
  private func poll() -> Int32? { wait(WNOHANG) }

  /// Waits for its end, or ends it when somebody wants this program to stop.
  /// - Parameters:
  ///   - watch: Knows of signals.
  ///   - stopped: What is said then.
  ///   - look: Called a hundred times a second while it runs; true to look no longer.
  /// - Returns: The status it ended with, as a shell has it; nil where `look` has had enough.
  /// - Throws: `stopped` when somebody wants this program to stop.
  func wait(
    _ watch: Watch, _ stopped: @autoclosure () -> String, look: () -> Bool = { false }
  ) throws -> Int32? {
    while true {
      usleep(10_000)
      if let status = poll() { return status }
      if watch.wantsStop {
        end()
        throw Failure(.stopped, stopped())
      }
      if look() { return nil }
    }
  }

  private func wait(_ options: CInt) -> Int32? {
    var status: CInt = 0
    var ended: pid_t
    repeat { ended = waitpid(process, &status, options) } while ended < 0 && errno == EINTR
    if ended == 0 { return nil }
    guard ended == process else { return 1 }
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
  }

  /// Kills a rank (SIGKILL), or mpirun itself, and returns when no process of the job is left.
  /// - Returns: What was killed.
  func kill(_ one: Int) -> String {
    let ranks = children()
    // What nobody is left to remove when mpirun is killed: message buffers.
    let buffers = Set(ranks.flatMap(InnerJob.messageBuffers))
    defer { for buffer in buffers { unlink(buffer) } }
    let victim = one < ranks.count ? ranks[one] : process
    Glibc.kill(victim, SIGKILL)
    _ = wait(0)
    // Ranks whose mpirun is gone notice it and leave.
    for _ in 0..<100 where ranks.contains(where: { Glibc.kill($0, 0) == 0 }) { usleep(100_000) }
    for rank in ranks { Glibc.kill(rank, SIGKILL) }
    return victim == process ? "mpirun" : "a rank"
  }

  /// Ends the job in good time: the launcher is asked (SIGTERM), and killed when it does not listen.
  func end() {
    Glibc.kill(process, SIGTERM)
    for _ in 0..<100 {
      if poll() != nil { return }
      usleep(50_000)
    }
    _ = kill(Int.max)
  }

  private static func messageBuffers(_ process: pid_t) -> [String] {
    let maps = (try? String(contentsOfFile: "/proc/\(process)/maps", encoding: .utf8)) ?? ""
    return maps.split(separator: "\n").compactMap { line in
      let path = line.split(separator: " ").last.map(String.init) ?? ""
      return ["vader", "sm"].contains { path.hasPrefix("/dev/shm/\($0)_segment") } ? path : nil
    }
  }

  private func children() -> [pid_t] {
    let path = "/proc/\(process)/task/\(process)/children"
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
    return text.split(whereSeparator: \.isWhitespace).compactMap { pid_t($0) }
  }

  /// What it said last, for the sentence about its failure.
  var lastLine: String {
    let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    let lines = text.split(separator: "\n")
    return String(lines.last { $0.hasPrefix("bert-ddp: ") || $0.hasPrefix("error: ") } ?? lines.last ?? "")
  }
}
