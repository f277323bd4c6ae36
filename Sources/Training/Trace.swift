internal import Failures
internal import FoundationEssentials
internal import Glibc

/// What a rank did when, for chrome://tracing and Perfetto: the phases of its steps, its collectives, its files.
///
/// Events go into a ring that is allocated once; when it is full the oldest are forgotten, so that a trace of any run
/// holds its end. An event costs the writing of a few words; the file is written when the run is over, however it ends.
///
/// - SeeAlso: *Trace Event Format*, "Complete Events", the format of both programs.
package final class Trace {
  /// A line of the picture.
  package enum Track: Int, CaseIterable, Sendable {
    /// What the rank is in.
    case phases
    /// Whole steps.
    case steps
    /// What it does together with others.
    case collectives
  }

  private struct Event {
    var name: StaticString
    var track: Track
    /// Seconds of the clock that only goes forward.
    var began: Double
    var ended: Double
    /// Of a collective; -1 elsewhere.
    var bytes: Int
    var step: Int
  }

  /// The step under way, which events are marked with.
  package var step = 0
  private let rank: Int
  private let host: String
  private let events: UnsafeMutableBufferPointer<Event>
  private var count = 0
  /// What has to be added to the clock that only goes forward for seconds since 1970, so that nodes agree.
  private let offset: Double

  /// An empty trace of a rank.
  /// - Parameters:
  ///   - rank: The rank.
  ///   - capacity: How many events it holds.
  package init(rank: Int, capacity: Int = 1 << 16) {
    self.rank = rank
    events = .allocate(capacity: max(1, capacity))
    events.initialize(repeating: Event(name: "", track: .phases, began: 0, ended: 0, bytes: -1, step: 0))
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    offset = Double(now.tv_sec) + 1e-9 * Double(now.tv_nsec) - monotonicSeconds()
    host = hostName()
  }

  deinit { events.deallocate() }

  /// Notes something that is over.
  package func add(_ name: StaticString, _ track: Track, began: Double, ended: Double, bytes: Int = -1) {
    events[count % events.count] = Event(
      name: name, track: track, began: began, ended: ended, bytes: bytes, step: step)
    count += 1
  }

  /// How many events were forgotten.
  package var forgottenCount: Int { max(0, count - events.count) }

  /// The trace as JSON: an object with `traceEvents`, a line an event.
  package var json: String {
    let pid = rank
    var lines = [
      #"{"name":"process_name","ph":"M","pid":\#(pid),"args":{"name":"rank \#(rank) on \#(host)"}}"#,
      #"{"name":"process_sort_index","ph":"M","pid":\#(pid),"args":{"sort_index":\#(rank)}}"#,
    ]
    for track in Track.allCases {
      lines.append(
        #"{"name":"thread_name","ph":"M","pid":\#(pid),"tid":\#(track.rawValue),"args":{"name":"\#(track)"}}"#)
    }
    for index in max(0, count - events.count)..<count {
      let event = events[index % events.count]
      // Whole nanoseconds: microseconds since 1970 need more digits than a Double prints by itself.
      let began = Int(((event.began + offset) * 1e9).rounded())
      let length = Int(((event.ended - event.began) * 1e9).rounded())
      let bytes = event.bytes >= 0 ? #","bytes":\#(event.bytes)"# : ""
      lines.append(
        #"{"name":"\#(event.name)","cat":"\#(event.track)","ph":"X","pid":\#(pid),"tid":\#(event.track.rawValue),"ts":\#(microseconds(began)),"dur":\#(microseconds(length)),"args":{"step":\#(event.step)\#(bytes)}}"#
      )
    }
    return "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"forgotten\":\(forgottenCount)},\"traceEvents\":[\n"
      + lines.joined(separator: ",\n") + "\n]}\n"
  }

  private func microseconds(_ nanoseconds: Int) -> String {
    let rest = String(nanoseconds % 1000)
    return "\(nanoseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
  }

  /// Writes the trace into a run directory.
  /// - Throws: `Failure` when it cannot be written.
  package func write(to directory: String) throws {
    let path = "\(directory)/trace-\(rank).json"
    do {
      try Data(json.utf8).write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw Failure(.cannotWrite, "\(path) cannot be written: check the free space and the permissions there.")
    }
  }
}
