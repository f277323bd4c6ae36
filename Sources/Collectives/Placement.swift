/// Where the ranks of a node go: what a launcher has to be told so that each thread has a core of its own.
package struct Placement: Sendable, Equatable {
  /// Ranks of the node.
  package let ranks: Int
  /// Threads of each.
  package let threads: Int
  /// Cores of the node.
  package let cores: Int

  /// A placement.
  package init(ranks: Int, threads: Int, cores: Int) {
    (self.ranks, self.threads, self.cores) = (ranks, threads, cores)
  }

  /// Whether threads have to share cores.
  package var isOversubscribed: Bool { ranks * threads > cores }

  /// The flags of Open MPI's mpirun. With cores for all, each rank is bound to as many as it has threads: a rank that
  /// wanders loses its caches, and all wait for the slowest. Without, the system shares the cores out.
  package var mpirunFlags: [String] {
    isOversubscribed
      ? ["--bind-to", "none", "--map-by", ":OVERSUBSCRIBE"]
      : ["--map-by", "slot:PE=\(threads)", "--bind-to", "core"]
  }

  /// The flags of Slurm's srun that say the same.
  package var srunFlags: [String] {
    ["--mpi=pmix", "--cpus-per-task=\(threads)", "--threads-per-core=1"]
      + (isOversubscribed ? ["--overcommit"] : ["--cpu-bind=cores"])
  }

  /// The same threads for each rank, and as many ranks as have cores.
  package var fitting: Placement {
    let threads = min(self.threads, cores)
    return Placement(ranks: max(1, cores / threads), threads: threads, cores: cores)
  }

  /// The command that starts it.
  package func command(_ words: String = "bert-ddp …") -> String {
    "mpirun -np \(ranks) \(mpirunFlags.joined(separator: " ")) \(words) --threads \(threads)"
  }
}
