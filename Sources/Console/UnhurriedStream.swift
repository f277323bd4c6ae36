import Glibc

/// Text on its way to a stream whose reader may stop reading for a while: a terminal that is held (Ctrl-S), a pager at its
/// first page.
///
/// Training does not wait for a reader. What a terminal or a pipe has no room for is kept and goes out, in order, with
/// what is written later, or with `flush`. A write that fails is left at that: what a person sees is not worth a training
/// run.
package final class UnhurriedStream {
  /// Standard output, for one thread; what is left of it is written when the process exits.
  nonisolated(unsafe) package static let output: UnhurriedStream = standard(STDOUT_FILENO) {
    UnhurriedStream.output.flush()
  }
  /// Standard error, likewise.
  nonisolated(unsafe) package static let errors: UnhurriedStream = standard(STDERR_FILENO) {
    UnhurriedStream.errors.flush()
  }

  private let descriptor: CInt
  /// The same terminal or pipe, opened once more: whether writes wait belongs to the opening, and the one that came
  /// with the process is shared with the shell and with other ranks.
  private let unhurried: CInt?
  private var kept: [UInt8] = []

  /// A stream over a descriptor that stays open.
  package init(descriptor: CInt) {
    self.descriptor = descriptor
    unhurried = UnhurriedStream.reopened(descriptor)
  }

  deinit { if let unhurried { close(unhurried) } }

  /// Writes as much as there is room for and keeps the rest.
  ///
  /// - Parameters:
  ///   - text: What to write.
  ///   - isPassing: Whether it is worth nothing later, like a line that will be redrawn: it is left out where something is
  ///     kept.
  package func write(_ text: String, isPassing: Bool = false) {
    if isPassing, !kept.isEmpty {
      drain(waits: false)
      if !kept.isEmpty { return }
    }
    kept.append(contentsOf: text.utf8)
    drain(waits: unhurried == nil)
  }

  /// Writes what is kept, and waits for the reader.
  package func flush() { drain(waits: true) }

  private func drain(waits: Bool) {
    var start = 0
    while start < kept.count {
      let written = kept.withUnsafeBufferPointer {
        Glibc.write(unhurried ?? descriptor, $0.baseAddress.map { $0 + start }, $0.count - start)
      }
      if written > 0 {
        start += written
      } else if written < 0, errno == EAGAIN {
        guard waits else { break }
        // Also one that another program, which it is shared with, made non-blocking.
        var room = pollfd(fd: unhurried ?? descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&room, 1, 1000)
      } else if written == 0 || errno != EINTR {
        start = kept.count
      }
    }
    kept.removeFirst(start)
  }

  /// A second opening whose writes do not wait; nil where none is needed or possible: a file has always room, a socket
  /// or another user's terminal cannot be opened.
  private static func reopened(_ descriptor: CInt) -> CInt? {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    let isPipe = status.st_mode & S_IFMT == S_IFIFO
    guard isPipe || isatty(descriptor) == 1 else { return nil }
    let opened = open("/proc/self/fd/\(descriptor)", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    return opened >= 0 ? opened : nil
  }

  private static func standard(_ descriptor: CInt, atExit flush: @escaping @convention(c) () -> Void)
    -> UnhurriedStream
  {
    atexit(flush)
    return UnhurriedStream(descriptor: descriptor)
  }
}
