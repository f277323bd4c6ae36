import Checkpoints
import Collectives
import Console
import Failures
import Foundation
import TestSupport
import Testing
import Training

/// Going on from a checkpoint far along.
@Suite struct ResumeTests {
  /// Steps of sixteen reviews, three an epoch of forty.
  private func configuration(_ files: TinyBase, _ output: String) -> TrainingConfiguration {
    var run = TrainingConfiguration()
    (run.base, run.trainFile, run.method, run.output) = (files.base, files.trainFile, "lora", output)
    (run.maxLength, run.globalBatchSize, run.learningRate) = (24, 16, 5e-3)
    return run
  }

  private func train(_ configuration: TrainingConfiguration) throws -> RunResults {
    try #require(try TrainingStages.train(configuration, Communicator(program: "tests"), .silent()))
  }

  /// Writes a checkpoint again, as one of another step.
  private func move(_ path: String, to target: String, step: Int) throws {
    let file = try TensorFile(opening: path)
    let writer = try TensorFileWriter(
      to: target, .checkpoint, producer: "tests", expectedByteCount: file.byteCount, step: step)
    try writer.setJSON("configuration", file.json("configuration"))
    for name in ["base_sha256", "data_sha256"] { try writer.setText(name, file.text(name)) }
    var state = try #require(try JSONSerialization.jsonObject(with: file.json("run_state")) as? [String: Any])
    state["step"] = step
    try writer.setJSON("run_state", JSONSerialization.data(withJSONObject: state))
    for group in [TensorSchema.tensors, TensorSchema.firstMoment, TensorSchema.secondMoment] {
      try writer.describe(group, "as it was")
      for entry in try file.entries(group) {
        var values = [Float](repeating: .nan, count: entry.count)
        try values.withUnsafeMutableBufferPointer { try file.read(entry.name, in: group, into: $0) }
        try values.withUnsafeBufferPointer { try writer.write(entry.name, in: group, shape: entry.shape, $0) }
      }
    }
    _ = try writer.publish()
  }

  /// A replay of a million steps, of a millisecond each, would be noticed.
  @Test func aMillionStepsAreNotReplayed() throws {
    try withTemporaryDirectory { directory in
      let files = try TinyBase(in: directory)
      var run = configuration(files, directory.path("near"))
      (run.epochs, run.maxSteps, run.checkpointEvery) = (400_000, 3, 3)
      _ = try train(run)
      let far = 1_000_000
      try move(directory.path("near/checkpoint-3.h5"), to: directory.path("far.h5"), step: far - far % 3)
      (run.output, run.resume, run.maxSteps) = (directory.path("far"), directory.path("far.h5"), far + 2)
      let results = try train(run)
      #expect(results.run.steps == far + 2)
      #expect(try TensorFile(opening: directory.path("far/checkpoint-\(far + 2).h5")).step == far + 2)
    }
  }
}
