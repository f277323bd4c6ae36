import Foundation
import Glibc
import HDF5
import Testing

/// Writes that fail must come out as errors: libhdf5 by itself leaves dangling identifiers behind when it
/// cannot flush a file it closes. Each test runs in a process of its own, since a limit on file sizes is the
/// process's.
@Suite struct FailedWriteTests {
  @Test func everyLimitOnTheFileSize() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      signal(SIGXFSZ, SIG_IGN)
      let needed = try writeSample(to: scratch.path("whole.h5"), limit: nil)
      #expect(needed > 600_000)
      for limit in stride(from: 0, to: needed, by: 4099) {
        do throws(HDF5Error) {
          _ = try writeSample(to: scratch.path("cut.h5"), limit: limit)
          Issue.record("a file of \(needed) bytes was written under a limit of \(limit)")
        } catch {
          #expect(error.cause == .unwritable(EFBIG), "limit \(limit): \(error)")
        }
      }
      // The library is in good order after all that: no file that it could not close.
      #expect(HDF5File.openObjectCount == 0)
      #expect(try writeSample(to: scratch.path("again.h5"), limit: nil) == needed)
      #expect(try readBytes(scratch.path("again.h5")) == readBytes(scratch.path("whole.h5")))
    }
  }

  @Test func anOwnerThatIsNotClosedAfterAFailure() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      signal(SIGXFSZ, SIG_IGN)
      for _ in 0..<20 {
        let file = try HDF5File.create(scratch.path("a.h5"))
        for index in 0..<40 { try file.createDataset("/g/\(index)", shape: [5], .float32) }
        limitFileSize(to: 100)
        _ = consume file
        limitFileSize(to: nil)
        #expect(HDF5File.openObjectCount == 0)
      }
    }
  }
}

/// Writes datasets, groups and attributes under a limit on the file's size; the file's length.
private func writeSample(to path: String, limit: Int?) throws(HDF5Error) -> Int {
  limitFileSize(to: limit)
  defer { limitFileSize(to: nil) }
  let file = try HDF5File.create(path, userBlock: 512)
  let values = (0..<1000).map(Float.init)
  for index in 0..<150 {
    try file.createDataset("/group\(index % 7)/dataset\(index)", shape: [1000], .float32)
    var failure: HDF5Error?
    values.withUnsafeBufferPointer { values in
      do throws(HDF5Error) {
        try file.write("/group\(index % 7)/dataset\(index)", rows: nil, values)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }
  try file.setAttribute("text", String(repeating: "x", count: 100_000))
  try file.close()
  var status = stat()
  return stat(path, &status) == 0 ? Int(status.st_size) : -1
}

/// Sets the soft limit of this process; `nil` is none.
private func limitFileSize(to byteCount: Int?) {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
  limit.rlim_cur = byteCount.map { rlim_t($0) } ?? limit.rlim_max
  setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
}
