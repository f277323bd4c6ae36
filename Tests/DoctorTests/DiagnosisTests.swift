import Doctor
import Testing

@Suite("The doctor's judgement")
struct DiagnosisTests {
  /// A node with nothing wrong.
  private var healthy: Facts {
    var facts = Facts()
    (facts.ranks, facts.threads, facts.cores, facts.isLaunched) = (2, 2, 4, true)
    facts.allowed = [[0, 1], [2, 3]]
    (facts.blas, facts.kernels) = ("OpenBLAS 0.3.21, Haswell kernels", "Haswell")
    (facts.mpi, facts.sharedBytes, facts.freeBytes) = ("Open MPI v4.1.4", 8 << 30, 100 << 30)
    facts.output = "runs"
    return facts
  }

  private func finding(_ subject: String, _ change: (inout Facts) -> Void) throws -> Finding {
    var facts = healthy
    change(&facts)
    return try #require(Diagnosis.findings(facts).first { $0.subject == subject })
  }

  @Test("nothing is wrong with a healthy node")
  func health() {
    #expect(Diagnosis.findings(healthy).allSatisfy { $0.level == .ok })
    #expect(Diagnosis.findings(healthy).count == 11)
  }

  @Test("too many threads, with the command for fewer")
  func crowd() throws {
    let found = try finding("cores") { $0.ranks = 4 }
    #expect(found.level == .problem)
    #expect(found.cure == "mpirun -np 2 --map-by slot:PE=2 --bind-to core bert-ddp … --threads 2")
    #expect(try finding("cores") { $0.cores = 8 }.level == .note)
  }

  @Test("two ranks on the same processor, or fewer processors than threads")
  func binding() throws {
    #expect(try finding("binding") { $0.allowed = [[0, 1], [0, 1]] }.level == .problem)
    #expect(try finding("binding") { $0.allowed = [[0], [1]] }.level == .problem)
    #expect(try finding("binding") { $0.allowed = [[0, 1, 2, 3], [0, 1, 2, 3]] }.level == .note)
    var alone = healthy
    (alone.ranks, alone.isLaunched) = (2, false)
    #expect(!Diagnosis.findings(alone).contains { $0.subject == "binding" })
  }

  @Test("kernels below what the processor has")
  func kernels() throws {
    let forced = try finding("BLAS") { ($0.hasAVX512, $0.coreType) = (true, "Haswell") }
    #expect(forced.level == .problem && forced.cure == "unset OPENBLAS_CORETYPE   # or: apt-get install libdnnl-dev")
    let old = try finding("BLAS") { $0.hasAVX512 = true }
    #expect(old.level == .note && old.cure?.contains("install libdnnl-dev") == true)
    #expect(try finding("BLAS") { ($0.hasAVX512, $0.coreType, $0.hasOneDNN) = (true, "Haswell", true) }.level == .ok)
    #expect(try finding("BLAS") { ($0.hasAVX512, $0.kernels) = (true, "Cooperlake") }.level == .ok)
    #expect(try finding("BLAS") { $0.blasIsCorrect = false }.cure == "export OPENBLAS_CORETYPE=Haswell")
    #expect(try finding("BLAS threads") { $0.blasThreads = "8" }.level == .note)
  }

  @Test("MPI")
  func launcher() throws {
    #expect(try finding("MPI") { ($0.hasLauncher, $0.isLaunched) = (false, false) }.level == .problem)
    #expect(try finding("MPI") { ($0.isRoot, $0.isLaunched) = (true, false) }.level == .note)
    #expect(try finding("transports") { $0.transports["OMPI_MCA_btl"] = "self,tcp" }.level == .problem)
    #expect(try finding("transports") { $0.transports["OMPI_MCA_btl"] = "^vader" }.level == .problem)
    #expect(try finding("transports") { $0.transports["OMPI_MCA_btl"] = "self,vader,tcp" }.level == .note)
    #expect(try finding("transports") { $0.transports["OMPI_MCA_btl"] = "^openib" }.level == .note)
  }

  @Test("memory, disk, locks, limits")
  func room() throws {
    let small = try finding("shared memory") { ($0.sharedBytes, $0.frozenBytes) = (64 << 20, 700 << 20) }
    #expect(small.level == .problem && small.cure?.contains("--shm-size=1g") == true)
    #expect(try finding("disk") { $0.freeBytes = 100 << 20 }.level == .problem)
    #expect(try finding("disk") { ($0.freeBytes, $0.checkpointBytes) = (5 << 30, 2 << 30) }.level == .problem)
    #expect(try finding("output") { $0.outputError = "Permission denied" }.level == .problem)
    #expect(try finding("locks") { $0.locksWork = false }.cure?.contains("HDF5_USE_FILE_LOCKING=FALSE") == true)
    #expect(try finding("limits") { $0.openFiles = 64 }.cure == "ulimit -n 4096")
    #expect(try finding("limits") { $0.largestFile = 1 << 20 }.cure == "ulimit -f unlimited")
    #expect(try finding("limits") { $0.addressSpace = 4 << 30 }.cure == "ulimit -v unlimited")
  }

  @Test("every problem and nothing else has a cure at hand")
  func cures() {
    var facts = Facts()
    (facts.ranks, facts.isLaunched, facts.allowed) = (2, true, [[0], [0]])
    facts.openFiles = 1
    for finding in Diagnosis.findings(facts) {
      #expect(finding.level != .problem || finding.cure?.isEmpty == false)
      #expect(finding.level != .ok || finding.cure == nil)
      #expect(finding.found.hasSuffix("."))
    }
  }
}
