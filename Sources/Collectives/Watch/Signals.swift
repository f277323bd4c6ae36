internal import Glibc
internal import Synchronization

/// The signals that ask a run to stop: SIGTERM, SIGINT, SIGUSR1, SIGHUP.
///
/// The handler only notes them; the rank's watch looks at the notes ten times a second and acts.
enum Signals {
  /// A signal as it arrived.
  struct Arrival: Equatable {
    let number: CInt
    /// The process that sent it; 0 for the terminal and the kernel.
    let sender: pid_t

    var name: String {
      switch number {
      case SIGTERM: "SIGTERM"
      case SIGINT: "SIGINT"
      case SIGHUP: "SIGHUP"
      default: "SIGUSR1"
      }
    }
  }

  private static let count = Atomic<Int>(0)
  /// The first one: its number and, above, its sender.
  private static let first = Atomic<Int>(0)
  /// The latest SIGTERM, likewise.
  private static let termination = Atomic<Int>(0)

  /// How many have arrived.
  static var arrivalCount: Int { count.load(ordering: .acquiring) }

  /// The first one that arrived.
  static var firstArrival: Arrival? { arrival(first.load(ordering: .acquiring)) }

  /// The latest SIGTERM, whatever arrived beside it.
  static var latestTermination: Arrival? { arrival(termination.load(ordering: .acquiring)) }

  private static func arrival(_ note: Int) -> Arrival? {
    note == 0 ? nil : Arrival(number: CInt(note & 0xFF), sender: pid_t(truncatingIfNeeded: note >> 8))
  }

  /// Makes a write beyond the file size limit (`ulimit -f`) an error; MPI's shared files, the first that are large, can do
  /// without, and ours have a sentence for it.
  static func survivesFileSizeLimit() {
    var before = sigaction()
    sigaction(SIGXFSZ, nil, &before)
    if before.__sigaction_handler.sa_handler == nil { signal(SIGXFSZ, SIG_IGN) }
  }

  /// Notes the signals from here on. One that was ignored at the start (`nohup`) stays ignored. Called by the thread that
  /// computes; others that multiply take a `HandlerStack` themselves.
  static func install() {
    HandlerStack.take()
    var action = sigaction()
    action.__sigaction_handler.sa_sigaction = { number, information, _ in
      let sender = information.map { $0.pointee._sifields._kill.si_pid } ?? 0
      // Only what a handler may do: atomic operations, no allocation, no lock.
      let note = Int(number) | Int(max(0, sender)) << 8
      _ = Signals.first.compareExchange(expected: 0, desired: note, ordering: .acquiringAndReleasing)
      if number == SIGTERM { Signals.termination.store(note, ordering: .releasing) }
      Signals.count.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK
    for number in [SIGTERM, SIGINT, SIGUSR1, SIGHUP] {
      var before = sigaction()
      sigaction(number, nil, &before)
      let isIgnored = unsafeBitCast(before.__sigaction_handler.sa_handler, to: Int.self) == 1
      if !isIgnored { sigaction(number, &action, nil) }
    }
  }
}
