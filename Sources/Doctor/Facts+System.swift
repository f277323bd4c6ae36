package import Collectives
internal import Glibc
internal import Kernels

extension Facts {
  /// Looks at this node; collective.
  /// - Parameters:
  ///   - communicator: All ranks.
  ///   - ranks: How many ranks of a node are planned; those of the job when it has several.
  ///   - threads: Threads of each.
  ///   - output: Where a run will write.
  /// - Throws: `Failure` when ranks cannot talk.
  package init(_ communicator: Communicator, ranks: Int?, threads: Int, output: String) throws {
    self.init()
    isLaunched = communicator.size > 1 || Launcher.current != nil
    allowed = try Facts.allowed(communicator)
    processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    // What one rank is bound to says nothing of what the node's ranks have together.
    cores = Cores.physical(of: Array(Set(allowed.joined())))
    self.threads = threads
    self.ranks = communicator.size > 1 ? communicator.localSize : ranks ?? max(1, cores / threads)
    lookAtBLAS()
    lookAtMPI()
    sharedDirectory = SharedMemory.directory
    sharedBytes = SharedMemory.available(in: sharedDirectory, ranks: 0)
    lookAtOutput(output)
    lookAtLimits()
  }

  /// The processors of each rank of this node.
  private static func allowed(_ communicator: Communicator) throws -> [[Int]] {
    let own = [Int64(communicator.nodeIndex)] + Cores.allowed.map { Int64($0) }
    return try communicator.allGather(own).filter { $0.first == Int64(communicator.nodeIndex) }
      .map { $0.dropFirst().map { Int($0) } }
  }

  private mutating func lookAtBLAS() {
    blas = blasDescription()
    kernels = blas.split(separator: " ").dropLast().last.map(String.init) ?? ""
    coreType = variable("OPENBLAS_CORETYPE")
    blasThreads = variable("OPENBLAS_NUM_THREADS") ?? variable("OMP_NUM_THREADS")
    blasIsCorrect = multipliesCorrectly(.openBLAS)
    hasOneDNN = ProductLibrary.forLarge == .oneDNN
    let flags = " \(processorFlags()) "
    hasAVX512 = flags.contains(" avx512f ")
  }

  private mutating func lookAtMPI() {
    mpi = mpiVersion()
    for name in ["OMPI_MCA_btl", "OMPI_MCA_pml", "UCX_TLS"] { transports[name] = variable(name) }
    hasLauncher = (variable("PATH") ?? "").split(separator: ":").contains { access("\($0)/mpirun", X_OK) == 0 }
    isRoot = getuid() == 0
    allowsRoot = variable("OMPI_ALLOW_RUN_AS_ROOT") != nil && variable("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM") != nil
  }

  /// Looks at the directory, or at the first one above it that is there.
  private mutating func lookAtOutput(_ path: String) {
    output = path
    var place = path
    while access(place, F_OK) != 0, place != "/", place != "." {
      let parts = place.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      place = parts.isEmpty ? "." : parts == [""] ? "/" : parts.joined(separator: "/")
    }
    var information = statvfs()
    if statvfs(place, &information) == 0 {
      let free = Int(clamping: information.f_bavail).multipliedReportingOverflow(by: Int(information.f_frsize))
      freeBytes = free.overflow ? .max : free.partialValue
    }
    let probe = "\(place)/.bert-ddp-doctor-\(getpid())"
    let descriptor = open(probe, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      outputError = String(cString: strerror(errno))
      return
    }
    locksWork = flock(descriptor, LOCK_EX | LOCK_NB) == 0
    close(descriptor)
    unlink(probe)
  }

  private mutating func lookAtLimits() {
    func limit(_ resource: __rlimit_resource) -> Int? {
      var values = rlimit()
      guard getrlimit(__rlimit_resource_t(resource.rawValue), &values) == 0 else { return nil }
      return values.rlim_cur >= UInt(Int.max) ? nil : Int(values.rlim_cur)
    }
    openFiles = limit(RLIMIT_NOFILE) ?? .max
    largestFile = limit(RLIMIT_FSIZE)
    addressSpace = limit(RLIMIT_AS)
  }
}

private func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// What the kernel says that the first processor has.
private func processorFlags() -> String {
  guard let file = fopen("/proc/cpuinfo", "r") else { return "" }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 1 << 14)
  while fgets(&line, CInt(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if text.hasPrefix("flags") || text.hasPrefix("Features") {
      return text.split(whereSeparator: { $0 == ":" || $0 == "\n" }).last.map(String.init) ?? ""
    }
  }
  return ""
}
