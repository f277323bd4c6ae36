internal import Glibc

/// Says so when ranks do not reach each other: nothing else looks at the first messages between hosts, and MPI waits for
/// them for ever.
final class FirstContact {
  private var thread: pthread_t?
  /// Closed when there is nothing to say any more.
  private var writeEnd: CInt = -1

  /// Begins to wait, on the first rank.
  /// - Parameters:
  ///   - program: Who speaks.
  ///   - patience: Seconds that a start may take without a word.
  init(program: String, patience: CInt) {
    var ends: [CInt] = [-1, -1]
    guard (Launcher.current?.rank ?? 0) == 0, pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    final class Start {
      let readEnd: CInt
      let patience: CInt
      let sentence: String
      init(_ readEnd: CInt, _ patience: CInt, _ sentence: String) {
        (self.readEnd, self.patience, self.sentence) = (readEnd, patience, sentence)
      }
    }
    let sentence =
      "\(program): ranks have not reached each other for \(patience) s; if hosts have several networks, name the right one with --mca btl_tcp_if_include NETWORK (under srun OMPI_MCA_btl_tcp_if_include=NETWORK in the environment)."
    let argument = Unmanaged.passRetained(Start(ends[0], patience, sentence)).toOpaque()
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        var end = pollfd(fd: start.readEnd, events: 0, revents: 0)
        var count: CInt
        repeat { count = poll(&end, 1, start.patience * 1000) } while count < 0 && errno == EINTR
        if count == 0 { Job.say(start.sentence) }
        close(start.readEnd)
        return nil
      }, argument)
    if status == 0 {
      (self.thread, writeEnd) = (thread, ends[1])
    } else {
      Unmanaged<Start>.fromOpaque(argument).release()
      for end in ends { close(end) }
    }
  }

  /// Ends the waiting: the ranks have reached each other, or know that they cannot.
  func stands() {
    guard let thread else { return }
    close(writeEnd)
    pthread_join(thread, nil)
    self.thread = nil
  }
}
