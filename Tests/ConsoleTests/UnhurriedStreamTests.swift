import Console
import Glibc
import Testing

/// Streams whose readers stop reading.
@Suite struct UnhurriedStreamTests {
  /// The two ends of a pipe or of a terminal.
  private struct Ends {
    let reading: CInt
    let writing: CInt

    static func pipe() -> Ends {
      var ends: [CInt] = [0, 0]
      _ = Glibc.pipe(&ends)
      return Ends(reading: ends[0], writing: ends[1])
    }

    static func terminal() throws -> Ends {
      var (reading, writing): (CInt, CInt) = (0, 0)
      try #require(openpty(&reading, &writing, nil, nil, nil) == 0)
      // As it is written: no line feed becomes two characters.
      var settings = termios()
      tcgetattr(writing, &settings)
      cfmakeraw(&settings)
      tcsetattr(writing, TCSANOW, &settings)
      return Ends(reading: reading, writing: writing)
    }

    /// What has arrived by now.
    func arrived() -> String {
      let flags = fcntl(reading, F_GETFL)
      _ = fcntl(reading, F_SETFL, flags | O_NONBLOCK)
      var (bytes, part) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
      while true {
        let count = read(reading, &part, part.count)
        if count <= 0 { break }
        bytes += part[..<count]
      }
      return String(decoding: bytes, as: UTF8.self)
    }

    func closed() {
      close(reading)
      close(writing)
    }
  }

  private let line = String(repeating: "x", count: 99) + "\n"

  @Test(.timeLimit(.minutes(1))) func aFullPipeIsNotWaitedForAndNothingIsLost() {
    let ends = Ends.pipe()
    defer { ends.closed() }
    let stream = UnhurriedStream(descriptor: ends.writing)
    // A pipe holds 64 KiB.
    for number in 0..<2000 { stream.write("\(number) \(line)") }
    var text = ends.arrived()
    #expect(text.count < 70_000)
    while true {
      stream.write("")
      let more = ends.arrived()
      if more.isEmpty { break }
      text += more
    }
    #expect(text == (0..<2000).map { "\($0) \(line)" }.joined())
  }

  @Test(.timeLimit(.minutes(1))) func aHeldTerminalIsNotWaitedFor() throws {
    let ends = try Ends.terminal()
    defer { ends.closed() }
    let stream = UnhurriedStream(descriptor: ends.writing)
    stream.write("before\n")
    #expect(ends.arrived() == "before\n")
    // What Ctrl-S does.
    tcflow(ends.writing, TCOOFF)
    stream.write("first\n")
    stream.write("bar 1\r", isPassing: true)
    stream.write("second\n")
    stream.write("bar 2\r", isPassing: true)
    #expect(ends.arrived() == "")
    tcflow(ends.writing, TCOON)
    stream.write("bar 3\r", isPassing: true)
    #expect(ends.arrived() == "first\nsecond\nbar 3\r")
  }

  @Test(.timeLimit(.minutes(1))) func flushWaitsForTheReader() {
    let ends = Ends.pipe()
    defer { ends.closed() }
    let stream = UnhurriedStream(descriptor: ends.writing)
    let text = String(repeating: line, count: 3000)
    stream.write(text)
    var thread = pthread_t()
    // Reads 300,000 bytes while flush waits.
    let reading = UnsafeMutableRawPointer(bitPattern: Int(ends.reading))
    pthread_create(
      &thread, nil,
      { descriptor in
        let descriptor = CInt(Int(bitPattern: descriptor))
        var (part, total) = ([UInt8](repeating: 0, count: 10_000), 0)
        while total < 300_000 {
          let count = read(descriptor, &part, part.count)
          if count <= 0 { break }
          total += count
        }
        return UnsafeMutableRawPointer(bitPattern: total)
      }, reading)
    stream.flush()
    var total: UnsafeMutableRawPointer?
    pthread_join(thread, &total)
    #expect(Int(bitPattern: total) == text.utf8.count)
  }

  @Test func aReaderThatIsGoneEndsNothing() {
    signal(SIGPIPE, SIG_IGN)
    let ends = Ends.pipe()
    let stream = UnhurriedStream(descriptor: ends.writing)
    close(ends.reading)
    stream.write(line)
    stream.flush()
    close(ends.writing)
  }
}
