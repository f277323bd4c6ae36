internal import Failures
internal import Glibc

/// An event file that TensorBoard reads: scalars by tag and step.
///
/// A file is a series of TFRecords: the length of the data as a little-endian UInt64, its masked CRC-32C, the data, and
/// theirs. The data are `tensorflow.Event` messages.
///
/// - SeeAlso: [TFRecord](https://www.tensorflow.org/tutorials/load_data/tfrecord),
///   [event.proto](https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto).
package final class EventFile {
  /// The file's path.
  package let path: String
  private let descriptor: CInt
  private let clock: () -> Double

  /// Opens a new file in a directory, which is made where there is none.
  /// - Parameters:
  ///   - directory: The directory that TensorBoard is to look into.
  ///   - step: The step of the checkpoint that a run goes on from; TensorBoard then drops what older files of the
  ///     directory have beyond it. 0 for a new run, whose directory has none.
  ///   - clock: Seconds since 1970.
  /// - Throws: `Failure` of kind `cannotWrite`.
  package init(in directory: String, after step: Int, clock: @escaping () -> Double = EventFile.now) throws {
    self.clock = clock
    if mkdir(directory, 0o777) != 0, errno != EEXIST { throw EventFile.failure(directory, errno) }
    // TensorBoard takes files in the order of their names, and their time comes first.
    var number = 0
    var opened: CInt
    var name: String
    repeat {
      name = "\(directory)/events.out.tfevents.\(Int(clock())).bert-ddp.\(getpid()).\(number)"
      opened = open(name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o644)
      number += 1
    } while opened < 0 && errno == EEXIST
    guard opened >= 0 else { throw EventFile.failure(name, errno) }
    (path, descriptor) = (name, opened)
    try append(step: 0) { $0.add("brain.Event:2", field: 3) }
    // A session that starts here.
    if step > 0 {
      try append(step: step + 1) { event in
        var session = ProtocolBuffer()
        session.add(1, field: 1)
        event.add(session, field: 7)
      }
    }
  }

  deinit { close(descriptor) }

  /// Adds scalars of a step.
  /// - Throws: `Failure` of kind `cannotWrite`.
  package func append(_ scalars: [(tag: String, value: Double)], step: Int) throws {
    guard !scalars.isEmpty else { return }
    try append(step: step) { event in
      var summary = ProtocolBuffer()
      for scalar in scalars {
        var value = ProtocolBuffer()
        value.add(scalar.tag, field: 1)
        value.add(Float(scalar.value), field: 2)
        summary.add(value, field: 1)
      }
      event.add(summary, field: 5)
    }
  }

  /// Writes one event at once, so that a reader sees all or nothing of it.
  private func append(step: Int, _ fill: (inout ProtocolBuffer) -> Void) throws {
    var event = ProtocolBuffer()
    event.add(clock(), field: 1)
    if step > 0 { event.add(step, field: 2) }
    fill(&event)
    let record = EventFile.record(event.bytes)
    let written = record.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    guard written == record.count else { throw EventFile.failure(path, written < 0 ? errno : ENOSPC) }
  }

  private static func record(_ data: [UInt8]) -> [UInt8] {
    func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
      withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
    let length = littleEndian(UInt64(data.count))
    return length + littleEndian(maskedCRC32C(length)) + data + littleEndian(maskedCRC32C(data))
  }

  private static func failure(_ path: String, _ code: CInt) -> Failure {
    Failure(
      .cannotWrite,
      "\(path) cannot be written: \(String(cString: strerror(code))); check the free space and the permissions there.")
  }

  /// Seconds since 1970.
  package static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
