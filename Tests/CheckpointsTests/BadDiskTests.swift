import Checkpoints
import Failures
import Glibc
import TestSupport
import Testing

/// Disks that fail in the middle of a save: what stood before stands, and a sentence says path, bytes and reason.
@Suite struct BadDiskTests {
  @Test(arguments: [
    FailingCalls(.write, with: EIO), FailingCalls(.write, with: ENOSPC), FailingCalls(.write, with: EDQUOT),
    FailingCalls(.synchronize, with: EIO), FailingCalls(.reserve, with: ENOSPC), FailingCalls(.rename, with: EACCES),
    FailingCalls(.rename, with: EROFS), FailingCalls(.read, with: EIO),
  ])
  func aSaveThatFails(disk: FailingCalls) async throws {
    let scratch = try Scratch()
    let path = scratch.path("checkpoint-1.h5")
    let old = try publishSample(to: path, step: 1, seed: 1, rows: 5000)
    let (call, code) = (disk.call.rawValue, disk.code)
    await #expect(processExitsWith: .success) { [path = path as String, call = call as String, code = code as Int32] in
      let call = try #require(FailingCalls.Call(rawValue: call))
      try FailingCalls(call, with: code).install()
      let failure = failure { try publishSample(to: path, step: 1, seed: 2, rows: 5000) }
      #expect(failure?.kind == .cannotWrite, "\(String(describing: failure))")
      let message = failure?.message ?? ""
      #expect(message.contains(path) && message.contains(String(cString: strerror(code))), "\(message)")
      if call == .write || call == .reserve { #expect(message.contains("bytes"), "\(message)") }
    }
    #expect(try scratch.names() == ["checkpoint-1.h5"], "nothing half-written stays")
    #expect(try TensorFile(opening: path).sha256 == old.sha256)
  }
}
