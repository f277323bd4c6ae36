package import Failures
internal import Glibc

/// What started this process beside others, as its environment tells.
package struct Launcher: Sendable, Equatable {
  /// The command: `mpirun`, `srun`, ….
  package let name: String
  /// How many processes it says it started; nil when it does not say.
  package let processCount: Int?
  /// Which of them this one is; nil when it does not say.
  package let rank: Int?
  /// Whether it offers MPI a way to connect the processes.
  package let connects: Bool

  /// A launcher as described.
  package init(name: String, processCount: Int?, rank: Int?, connects: Bool) {
    (self.name, self.processCount, self.rank, self.connects) = (name, processCount, rank, connects)
  }

  /// Reads the environment: Open MPI's mpirun, launchers with PMI (MPICH, Intel MPI, Cray), Slurm's srun.
  ///
  /// A plain command inside a Slurm batch script has no step of its own and counts as not launched.
  /// - Parameter variable: Looks up an environment variable.
  /// - Returns: nil when the process was started alone.
  package static func detect(_ variable: (String) -> String?) -> Launcher? {
    func number(_ name: String) -> Int? { variable(name).flatMap { Int($0) } }
    if variable("OMPI_COMM_WORLD_RANK") != nil || variable("OMPI_COMM_WORLD_SIZE") != nil {
      return Launcher(
        name: "mpirun", processCount: number("OMPI_COMM_WORLD_SIZE"), rank: number("OMPI_COMM_WORLD_RANK"),
        connects: true)
    }
    let hasPMIx = variable("PMIX_RANK") != nil
    if variable("SLURM_STEP_ID") != nil, variable("SLURM_PROCID") != nil {
      return Launcher(
        name: "srun", processCount: number("SLURM_STEP_NUM_TASKS") ?? number("SLURM_NTASKS"),
        rank: number("SLURM_PROCID"), connects: hasPMIx || variable("PMI_RANK") != nil)
    }
    if variable("PMI_RANK") != nil || hasPMIx {
      return Launcher(
        name: "the launcher", processCount: number("PMI_SIZE"),
        rank: number("PMI_RANK") ?? number("PMIX_RANK"), connects: true)
    }
    return nil
  }

  /// The launcher of this process.
  package static var current: Launcher? { detect { name in getenv(name).map { String(cString: $0) } } }

  /// Whether there is nothing to connect: MPI's start (a third of a second and a helper daemon) can be spared.
  var isAlone: Bool { processCount == 1 && !connects }

  /// What is wrong when the launcher started processes together that MPI has not connected: each would train
  /// alone, as "rank 0 of 1", and all would write the same files.
  /// - Parameter size: How many processes MPI sees; 1 when it cannot be asked.
  /// - Returns: A failure of kind `usage` with the cure; nil when the counts agree.
  package func mismatch(size: Int) -> Failure? {
    guard let processCount, processCount != size else { return nil }
    let mpirun = "`mpirun -np \(processCount) bert-ddp …` of Open MPI, which this program is built with"
    return Failure(
      .usage,
      "\(name) started \(processCount) processes, but MPI connects \(size) of them; start them with "
        + (name == "srun" ? "`srun --mpi=pmix -n \(processCount) bert-ddp …` or " : "") + mpirun)
  }
}
