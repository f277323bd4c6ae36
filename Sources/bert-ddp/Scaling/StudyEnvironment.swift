import Collectives
import Console
import FoundationEssentials
import Glibc
import Kernels
import Training

/// What a study was measured on.
struct StudyEnvironment: Codable, Equatable {
  let processor: String
  /// Physical cores of this node that ranks may use.
  let coresPerNode: Int
  let memoryBytes: Int
  let blas: String
  let mpi: String
  /// The launcher and what it is told for ranks that have cores of their own.
  let launch: String
  let system: String
  let version: String
  /// Variables that change what is measured.
  let variables: [String: String]

  init(_ options: StudyOptions) {
    processor = Machine.processor
    coresPerNode = Cores.physical
    memoryBytes = Training.memoryBytes
    blas = blasDescription()
    mpi = mpiVersion()
    system = Machine.system
    version = producer
    let names = [
      "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA",
    ]
    variables = ProcessInfo.processInfo.environment.filter { names.contains($0.key) || $0.key.hasPrefix("OMPI_MCA_") }
    let flags = StudyEnvironment.flags(Placement(ranks: 1, threads: options.threads, cores: Cores.physical), options)
    launch = ([options.program.rawValue] + flags).joined(separator: " ")
  }

  /// How a number of ranks is started.
  func launch(ranks: Int, _ options: StudyOptions) -> InnerJob.Launch {
    // Ranks fill one node of an allocation after the other.
    let nodes = ProcessInfo.processInfo.environment["SLURM_JOB_NUM_NODES"].flatMap { Int($0) } ?? 1
    let placement = Placement(ranks: ranks, threads: options.threads, cores: max(1, nodes) * coresPerNode)
    var flags = StudyEnvironment.flags(placement, options)
    if options.program == .srun, nodes > 1, !flags.contains(where: { $0.hasPrefix("--nodes") || $0 == "-N" }) {
      // srun spreads ranks over all nodes that it has.
      let perNode = max(1, coresPerNode / options.threads)
      flags.insert("--nodes=\(min(nodes, (ranks + perNode - 1) / perNode))", at: 0)
    }
    return InnerJob.Launch(program: options.program, ranks: ranks, flags: flags)
  }

  /// A person who binds ranks by hand, or names hosts, knows better than this machine's cores.
  private static func flags(_ placement: Placement, _ options: StudyOptions) -> [String] {
    let own = options.mpiFlags.split(separator: " ").map(String.init)
    let places = ["--bind-to", "--map-by", "--cpu-bind", "--rankfile", "--hostfile", "--host", "-H", "-machinefile"]
    let isPlaced = own.contains { flag in places.contains { flag == $0 || flag.hasPrefix($0 + "=") } }
    let flags = options.program == .srun ? placement.srunFlags : isPlaced ? [] : placement.mpirunFlags
    return flags + own
  }

  /// For a page or a terminal.
  var table: Table {
    var table = Table([Table.Column("environment", .leading), Table.Column("", .leading)])
    table.add("processor", processor)
    table.add("cores given", "\(coresPerNode) (physical, a node)")
    table.add("memory", Format.bytes(memoryBytes))
    table.add("BLAS", blas + ", one thread a call")
    table.add("MPI", mpi)
    table.add("launch", launch)
    table.add("system", system)
    table.add("program", version)
    table.add(
      "variables",
      variables.isEmpty
        ? "none" : variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
    return table
  }
}
