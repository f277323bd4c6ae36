import Checkpoints
import Failures
import Foundation
import Glibc
import Testing

@Suite struct CheckpointFilesTests {
  /// Inverts a bit of a file.
  private func damage(_ path: String, at position: Int = 3000) throws {
    var bytes = try readBytes(path)
    bytes[position] ^= 1
    try writeBytes(bytes, to: path)
  }

  @Test func theNewestIsTheOneOfTheHighestStep() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    #expect(try files.newestValid().found == nil)
    // As text, 9 comes after 100; the newest in time is not the newest in steps.
    for step in [100, 9, 20] { try publishSample(to: files.path(step: step), step: step) }
    let (found, skipped) = try files.newestValid()
    #expect(found?.step == 100)
    #expect(found?.path == scratch.path("checkpoint-100.h5"))
    #expect(try found?.sha256 == TensorFile(opening: files.path(step: 100)).sha256)
    #expect(skipped == [])
    #expect(try CheckpointFiles(in: scratch.path("none")).newestValid().found == nil)
  }

  @Test func damagedOnesArePassedOverWithAReason() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    for step in 1...6 { try publishSample(to: files.path(step: step), step: step) }
    try damage(files.path(step: 6))  // a bit of the content
    try writeBytes(Array(readBytes(files.path(step: 5)).dropLast()), to: files.path(step: 5))  // cut
    try damage(files.path(step: 4), at: 20)  // a bit of the seal
    try writeBytes([], to: files.path(step: 3))  // nothing
    let (found, skipped) = try files.newestValid()
    #expect(found?.step == 2)
    #expect(Set(skipped.map(\.path)) == Set((3...6).map(files.path)))
    for skipped in skipped { #expect(skipped.reason.contains(skipped.path)) }
  }

  /// It may be the newest: what was done after an older one is not done again because a disk does not answer.
  @Test func oneThatCannotBeReadIsNotPassedOver() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    for step in 1...3 { try publishSample(to: files.path(step: step), step: step) }
    // Opening it fails for root as well.
    try FileManager.default.createSymbolicLink(
      atPath: files.path(step: 4), withDestinationPath: files.path(step: 4))
    let refusal = failure { _ = try files.newestValid() }
    #expect(refusal?.kind == .noInput)
    #expect(refusal?.message.contains(files.path(step: 4)) == true)
    #expect(try files.rotate(keeping: 1, knownValid: 3).count == 2, "old ones go all the same")
    unlink(files.path(step: 4))
    // Gone between the list of names and the look at it.
    try FileManager.default.createSymbolicLink(
      atPath: files.path(step: 4), withDestinationPath: scratch.path("gone"))
    #expect(try files.newestValid().found?.step == 3)
  }

  /// Its name is believed there: what it may cost is less than a run that does not go on.
  @Test func anOlderOneThatCannotBeReadIsPassedOver() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    for step in [1, 3] { try publishSample(to: files.path(step: step), step: step) }
    try FileManager.default.createSymbolicLink(
      atPath: files.path(step: 2), withDestinationPath: files.path(step: 2))
    let (found, skipped) = try files.newestValid()
    #expect(found?.step == 3)
    #expect(skipped.map(\.path) == [files.path(step: 2)])
    // The newest that is valid is older than it now.
    try damage(files.path(step: 3))
    let refusal = failure { _ = try files.newestValid() }
    #expect(refusal?.kind == .noInput)
    #expect(refusal?.message.contains(files.path(step: 2)) == true)
    unlink(files.path(step: 2))
    // Of another name than a run gives nothing is known.
    let copy = scratch.path("checkpoint-old.h5")
    try FileManager.default.createSymbolicLink(atPath: copy, withDestinationPath: copy)
    #expect(failure { _ = try files.newestValid() }?.kind == .noInput)
  }

  @Test func namesCountForNothing() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    try publishSample(to: scratch.path("checkpoint-900.h5"), step: 3)
    try publishSample(to: scratch.path("checkpoint-old.h5"), step: 7)
    try publishSample(to: scratch.path("checkpoint-1000.h5"), .model)
    try publishSample(to: scratch.path("checkpoint-2000.h5"), .model, step: 2000)
    try publishSample(to: scratch.path("other.h5"), step: 5000)
    try FileManager.default.createDirectory(
      atPath: scratch.path("checkpoint-3000.h5"), withIntermediateDirectories: false)
    let (found, skipped) = try files.newestValid()
    #expect(found?.step == 7)
    #expect(found?.path == scratch.path("checkpoint-old.h5"))
    #expect(
      skipped.map(\.path).sorted() == [1000, 2000, 3000].map { files.path(step: $0) })
  }

  /// A flipped digit of the step in the seal must not make an old checkpoint the newest.
  @Test func aSealThatLiesAboutTheStep() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    for step in [10, 20] { try publishSample(to: files.path(step: step), step: step) }
    let bytes = try readBytes(files.path(step: 10))
    let place = try #require(
      (0..<500).first { Array(bytes[$0..<$0 + 7]) == Array("step 10".utf8) })
    try damage(files.path(step: 10), at: place + 5)
    let (found, skipped) = try files.newestValid()
    #expect(found?.step == 20)
    #expect(skipped.map(\.path) == [files.path(step: 10)])
  }

  @Test func rotationKeepsTheNewestAndThePinned() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    for step in 1...8 { try publishSample(to: files.path(step: step), step: step) }
    try writeBytes(Array("notes".utf8), to: scratch.path("checkpoint-notes.h5"))
    try publishSample(to: scratch.path("model.h5"), .model)
    let removed = try files.rotate(keeping: 2, pinned: [3], knownValid: 8)
    #expect(removed.sorted() == [1, 2, 4, 5, 6].map { files.path(step: $0) })
    #expect(
      try scratch.names() == [
        "checkpoint-3.h5", "checkpoint-7.h5", "checkpoint-8.h5", "checkpoint-notes.h5", "model.h5",
      ])
    #expect(try files.rotate(keeping: 2, pinned: [3]) == [])
    #expect(try files.rotate(keeping: 0).sorted() == [files.path(step: 3), files.path(step: 7)])
  }

  @Test func thoseInPassingDoNotPushOutOthers() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    for step in [10, 13, 16, 20, 23, 26] { try publishSample(to: files.path(step: step), step: step) }
    let passing: Set = [13, 16, 23, 26]
    let removed = try files.rotate(keeping: 2, passing: passing, knownValid: 26)
    #expect(removed.sorted() == [13, 16, 23].map { files.path(step: $0) })
    #expect(try files.rotate(keeping: 2, passing: passing, knownValid: 26) == [])
    try publishSample(to: files.path(step: 30), step: 30)
    #expect(
      try files.rotate(keeping: 2, passing: passing, knownValid: 30)
        .sorted() == [10, 26].map { files.path(step: $0) })
    #expect(try scratch.names() == [20, 30].map { CheckpointFiles.name(step: $0) })
  }

  /// It neither counts as one of the newest nor is removed.
  @Test func rotationLeavesCopiesAlone() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    for step in 1...4 { try publishSample(to: files.path(step: step), step: step) }
    try publishSample(to: scratch.path("checkpoint-4-keep.h5"), step: 4)
    try publishSample(to: scratch.path("checkpoint-1-keep.h5"), step: 1)
    #expect(try files.rotate(keeping: 2, knownValid: 4).sorted() == [1, 2].map { files.path(step: $0) })
    #expect(
      try scratch.names() == [
        "checkpoint-1-keep.h5", "checkpoint-3.h5", "checkpoint-4-keep.h5", "checkpoint-4.h5",
      ])
  }

  @Test func rotationNeverRemovesTheLastValidOne() throws {
    let scratch = try Scratch()
    let files = CheckpointFiles(in: scratch.directory)
    for step in 1...5 { try publishSample(to: files.path(step: step), step: step) }
    for step in 3...5 { try damage(files.path(step: step)) }
    #expect(try files.rotate(keeping: 2) == [files.path(step: 3), files.path(step: 1)])
    #expect(try files.newestValid().found?.step == 2)
    try damage(files.path(step: 2))
    #expect(try files.rotate(keeping: 1) == [], "none is valid: people may still save something from them")
  }
}
