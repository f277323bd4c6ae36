import Collectives
import Failures
import Glibc

/// Who is who: ranks, nodes, launchers.
let placeChecks: [Check] = [
  Check("every rank has its own number, and nodes add up") { world, findings in
    let ranks = try world.allGather([Int64(world.rank)]).flatMap { $0 }
    findings.expectEqual(ranks, (0..<world.size).map(Int64.init), "ranks")
    let leaders = try world.sum(of: world.localRank == 0 ? 1 : 0)
    findings.expectEqual(leaders, world.nodeCount, "ranks that are first on their node")
    let places = try world.allGather([Int64(world.nodeIndex), Int64(world.localRank), Int64(world.localSize)])
    let mine = places.filter { $0[0] == Int64(world.nodeIndex) }
    findings.expectEqual(mine.map { $0[1] }.sorted(), (0..<Int64(world.localSize)).map { $0 }, "local ranks")
  },
  Check("a process alone is not timed, several are") { world, findings in
    findings.expectEqual(world.watch.stallTimeout, world.size == 1 ? 0 : 600, "seconds without progress")
  },
  Check("the launcher says the same number of processes as MPI") { world, findings in
    if let launcher = Launcher.current {
      findings.expect(launcher.mismatch(size: world.size) == nil, "\(launcher) but MPI has \(world.size)")
      findings.expect(launcher.mismatch(size: world.size + 1)?.kind == .usage, "a mismatch is not noticed")
    } else {
      findings.expectEqual(world.size, 1, "processes without a launcher")
    }
  },
  Check("launchers are told apart by their environment") { _, findings in
    func detect(_ environment: [String: String]) -> Launcher? { Launcher.detect { environment[$0] } }
    findings.expect(detect([:]) == nil, "an empty environment launched something")
    let batch = ["SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"]
    findings.expect(detect(batch) == nil, "a plain command in a batch script is taken for a step of srun")
    let step = batch.merging(["SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"]) { $1 }
    findings.expectEqual(
      detect(step), Launcher(name: "srun", processCount: 4, rank: 0, connects: false), "srun without PMIx")
    findings.expectEqual(
      detect(step.merging(["PMIX_RANK": "0"]) { $1 })?.connects, true, "srun with PMIx connects")
    let nested = step.merging(["OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"]) { $1 }
    findings.expectEqual(
      detect(nested), Launcher(name: "mpirun", processCount: 2, rank: 1, connects: true),
      "mpirun inside a step")
    findings.expectEqual(
      detect(["PMI_RANK": "3", "PMI_SIZE": "4"]),
      Launcher(name: "the launcher", processCount: 4, rank: 3, connects: true), "a launcher with PMI")
  },
  Check("the node has cores, and this process some of them") { _, findings in
    findings.expect(Cores.physical >= 1, "no core")
    findings.expect(Cores.physical <= Cores.ofNode, "more cores than the node has")
  },
]
