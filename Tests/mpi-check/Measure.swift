import Collectives
import Glibc

private func now() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}

/// Prints how long all-reduce takes by size, and by the size of its pieces: medians, recorded and not judged.
func measure(_ world: Communicator) throws {
  let largest = 21_300_000
  let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: largest)
  defer { buffer.deallocate() }
  buffer.update(repeating: 0)

  /// Median seconds of a sum of so many floats.
  func median(_ count: Int, _ repetitions: Int) throws -> Double {
    let part = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
    let seconds = try (0...repetitions).map { _ in
      try world.barrier()
      let start = now()
      try world.allReduceSum(part)
      return now() - start
    }
    return seconds.dropFirst().sorted()[repetitions / 2]
  }

  func line(_ what: String, _ count: Int, _ seconds: Double) {
    guard world.isFirst else { return }
    let rate = Double(count) * 4 / seconds / 1e9
    let microseconds = (seconds * 1e7).rounded() / 10
    print("\(what): \(count * 4) bytes in \(microseconds) µs, \((rate * 100).rounded() / 100) GB/s")
  }

  for count in [16, 10_000, 600_000, largest] {
    let repetitions = count > 1_000_000 ? 9 : 51
    line("all-reduce", count, try median(count, repetitions))
  }
  let usual = world.chunkBytes
  for shift in [16, 18, 20, 21, 22, 23, 24, 27] {
    world.chunkBytes = 1 << shift
    line("all-reduce in pieces of \(1 << (shift - 10)) KiB", largest, try median(largest, 5))
  }
  world.chunkBytes = usual
}
