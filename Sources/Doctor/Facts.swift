/// What is so on a node, as far as the doctor's judgement needs it. Judging is a pure function of this.
package struct Facts: Sendable, Equatable {
  /// Ranks of this node, started or planned.
  package var ranks = 1
  /// Threads of each.
  package var threads = 1
  /// Whether a launcher started this.
  package var isLaunched = false
  /// Physical cores that the node's ranks may use together.
  package var cores = 1
  /// Hardware threads that the system has.
  package var processors = 1
  /// For each rank of the node, the processors that it may run on.
  package var allowed: [[Int]] = []

  /// Who multiplies, and OpenBLAS's kernels: `OpenBLAS 0.3.21, Haswell kernels`.
  package var blas = ""
  /// The kernels' name: `Haswell`.
  package var kernels = ""
  /// The value of `OPENBLAS_CORETYPE`; nil when it is not set.
  package var coreType: String?
  /// The value of `OPENBLAS_NUM_THREADS`, or of `OMP_NUM_THREADS`.
  package var blasThreads: String?
  /// Whether BLAS gets small products right.
  package var blasIsCorrect = true
  /// Whether the processor has AVX-512.
  package var hasAVX512 = false
  /// Whether large products are oneDNN's, so that OpenBLAS's kernels matter little.
  package var hasOneDNN = false

  /// The MPI library: `Open MPI v4.1.4`.
  package var mpi = ""
  /// Variables that tell Open MPI how to move messages, by name.
  package var transports: [String: String] = [:]
  /// Whether mpirun is on the PATH; nil when it was not looked for.
  package var hasLauncher = true
  /// Whether the user is root.
  package var isRoot = false
  /// Whether Open MPI was told that root is meant.
  package var allowsRoot = false

  /// Where Open MPI puts what the ranks of a node share.
  package var sharedDirectory = "/dev/shm"
  /// Bytes that are free there.
  package var sharedBytes = 0
  /// Bytes of the frozen block; nil when no base was named.
  package var frozenBytes: Int?

  /// Where a run writes.
  package var output = ""
  /// What is wrong with writing there; nil when nothing is.
  package var outputError: String?
  /// Whether that file system has locks.
  package var locksWork = true
  /// Bytes that are free there.
  package var freeBytes = 0
  /// Bytes of a checkpoint of full fine-tuning of the base; nil when no base was named.
  package var checkpointBytes: Int?

  /// Files that a process may have open.
  package var openFiles = 1024
  /// The largest file that a process may write, in bytes; nil for no limit.
  package var largestFile: Int?
  /// Bytes of memory that a process may have; nil for no limit.
  package var addressSpace: Int?

  /// Nothing known.
  package init() {}
}
