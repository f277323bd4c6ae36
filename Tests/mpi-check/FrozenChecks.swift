import BERT
import Collectives
import Failures
import FineTuning
import Tensors
import TestSupport
import Training

/// Methods of which nothing is trained in the lower layers of three, and how many of them are frozen.
private let trials: [(trial: MethodTrial, layers: Int)] = {
  var upperLoRA = MethodTrial("lora")
  upperLoRA.options.loraLayers = [2]
  var upperAdapter = MethodTrial("adapter")
  upperAdapter.options.adapterLeaveOut = [0]
  return [(MethodTrial("linear-probe"), 3), (upperLoRA, 2), (upperAdapter, 1)]
}()

/// That what frozen layers make of a review can be kept.
let frozenChecks: [Check] = [
  Check("without dropout, losses and trained tensors with kept outputs of frozen layers are those without") {
    world, findings in
    for (trial, layers) in trials {
      let run = try TrialRun(trial, reviews: 45).withoutDropout
      findings.expectEqual(
        try FrozenOutputs.layerCount(run.method, run.configuration), layers, "frozen layers of \(trial.method)")
      for threads in [1, 2] {
        let whole = try run.train(steps: 14, threads: threads, world)
        // All reviews, some, none.
        for availableBytes in [1 << 24, layers == 3 ? 4 * 20 * 33 : 4 * 300 * 32, 0] {
          let frozen = try FrozenOutputs(
            run.method, run.configuration, run.data, availableBytes: availableBytes, world)
          let kept = try run.train(steps: 14, threads: threads, frozen: frozen, world)
          let place = "\(trial.method), \(threads) threads, \(frozen.reviewCount) reviews kept"
          // BLAS adds up a row in another order when it stands among other rows.
          let difference = zip(kept.losses, whole.losses).map { abs($0 - $1) }.max() ?? 1
          findings.expect(difference < 1e-6, "losses of \(place) differ by \(difference)")
          let distance = relativeL2(kept.trained[...], whole.trained[...])
          findings.expect(distance < 1e-5, "tensors of \(place) differ by \(distance)")
          // Of several nodes each has what has come to it.
          let count = (0..<45).count { frozen.has($0) }
          findings.expect(
            world.nodeCount == 1 ? count == frozen.reviewCount : count <= frozen.reviewCount,
            "\(count) are there of \(place)")
          try frozen.free()
        }
      }
    }
  },
  Check("computed alone, a review's outputs are the same bits whatever it first came with") { world, findings in
    for (trial, _) in trials {
      let run = try TrialRun(trial, reviews: 45)
      func outputs(reviewsPerPass: Int) throws -> [[Float]] {
        let frozen = try FrozenOutputs(run.method, run.configuration, run.data, computesAlone: true, world)
        _ = try run.train(steps: 9, threads: 1, reviewsPerPass: reviewsPerPass, frozen: frozen, world)
        try world.barrier()
        defer { try? frozen.free() }
        return (0..<45).map(frozen.values)
      }
      let (first, second) = (try outputs(reviewsPerPass: 10), try outputs(reviewsPerPass: 3))
      // Of several nodes each has what has come to it, and not the same twice.
      let both = zip(first, second).filter { !$0.isEmpty && !$1.isEmpty }
      findings.expect(both.allSatisfy(hasSameBits), "outputs of \(trial.method) hang on the others of the pass")
      findings.expect(
        both.count > 10 && both.allSatisfy { $0.0.contains { $0 != 0 } }, "\(trial.method): \(both.count) outputs")
    }
  },
  Check("kept outputs are what is trained on: others give other losses; with dropout above they are the same each time")
  {
    world, findings in
    for (trial, _) in trials {
      let run = try TrialRun(trial, reviews: 45)
      func train(_ frozen: FrozenOutputs) throws -> [Double] {
        try run.train(steps: 14, threads: 1, frozen: frozen, world).losses
      }
      let frozen = try FrozenOutputs(run.method, run.configuration, run.data, world)
      let (first, second) = (try train(frozen), try train(frozen))
      findings.expectEqual(second, first, "losses of \(trial.method) when all outputs are known")
      let zeros = [Float](repeating: 0, count: 32 * 32)
      try world.barrier()
      zeros.withUnsafeBufferPointer { zeros in
        guard let start = zeros.baseAddress else { return }
        for review in 0..<45 {
          let rows = trial.method == "linear-probe" ? 1 : run.data.tokenCount(review)
          frozen.keep(review, Matrix(UnsafeMutablePointer(mutating: start), rows: rows, columns: 32))
        }
      }
      try world.barrier()
      findings.expect(try train(frozen) != first, "\(trial.method) does not read what is kept")
      try frozen.free()
    }
  },
  Check("where some node's ranks have no room to share, no node keeps anything, whatever numbers of ranks they have") {
    world, findings in
    let run = try TrialRun(MethodTrial("linear-probe"), reviews: 45)
    let frozen = try FrozenOutputs(run.method, run.configuration, run.data, sharedBytes: 1, world)
    findings.expectEqual(frozen.reviewCount, world.nodeCount < world.size ? 0 : 45, "reviews kept")
    try frozen.free()
  },
  Check("keeping is refused where nothing is frozen below what is trained") { _, findings in
    var both = MethodTrial("lora")
    both.options.loraLayers = [0, 2]
    let refused = [
      (MethodTrial("full"), "the embeddings"), (both, "layer 0"), (MethodTrial("bitfit"), "the embeddings"),
    ]
    for (trial, part) in refused {
      let run = try TrialRun(trial, reviews: 4)
      let failure = findings.failure(trial.method) {
        _ = try FrozenOutputs.layerCount(run.method, run.configuration)
      }
      findings.expectEqual(failure?.exitStatus, 64, "the status of \(trial.method)")
      findings.expect(failure?.message.contains("trains \(part)") == true, "the sentence of \(trial.method)")
    }
  },
]
