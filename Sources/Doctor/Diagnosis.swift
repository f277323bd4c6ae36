internal import Collectives
internal import Kernels

/// What the doctor makes of the facts.
package enum Diagnosis {
  /// A finding for each thing that was looked at.
  package static func findings(_ facts: Facts) -> [Finding] {
    [
      cores(facts), binding(facts), kernels(facts), blasThreads(facts), launcher(facts), transports(facts),
      sharedMemory(facts), output(facts), locks(facts), space(facts), limits(facts),
    ].compactMap { $0 }
  }

  private static func placement(_ facts: Facts) -> Placement {
    Placement(ranks: facts.ranks, threads: facts.threads, cores: facts.cores)
  }

  // MARK: Cores

  private static func cores(_ facts: Facts) -> Finding {
    let asked = "\(count(facts.ranks, "rank")) × \(count(facts.threads, "thread"))"
    let given = count(facts.cores, "core")
    if placement(facts).isOversubscribed {
      return .problem(
        "cores", "\(asked) of this node share \(given), so they are no faster than \(given) alone.",
        cure: placement(facts).fitting.command())
    }
    let idle = facts.cores - facts.ranks * facts.threads
    return idle == 0
      ? .ok("cores", "\(asked) have \(given).")
      : .note(
        "cores", "\(asked) leave \(idle) of \(given) without work.",
        cure: Placement(ranks: facts.cores / facts.threads, threads: facts.threads, cores: facts.cores).command())
  }

  /// Whether ranks get in each other's way, or wander.
  private static func binding(_ facts: Facts) -> Finding? {
    guard facts.isLaunched, facts.ranks > 1, facts.allowed.count == facts.ranks else { return nil }
    let cure = placement(facts).command()
    if let narrow = facts.allowed.firstIndex(where: { $0.count < facts.threads }) {
      return .problem(
        "binding",
        "rank \(narrow) of this node may use \(facts.allowed[narrow].count) processors for its \(facts.threads) threads.",
        cure: cure)
    }
    guard !placement(facts).isOversubscribed else {
      return .ok("binding", "ranks may use any core, as there are too few.")
    }
    for first in facts.allowed.indices {
      for second in facts.allowed.indices where second > first {
        let shared = Set(facts.allowed[first]).intersection(facts.allowed[second])
        if shared.isEmpty { continue }
        if facts.allowed[first].count == facts.threads {
          return .problem(
            "binding", "ranks \(first) and \(second) of this node are bound to the same processors.", cure: cure)
        }
        return .note("binding", "ranks are not bound to cores, so they wander and lose their caches.", cure: cure)
      }
    }
    return .ok("binding", "each rank has \(facts.allowed[0].count) processors of its own.")
  }

  // MARK: BLAS

  private static func kernels(_ facts: Facts) -> Finding {
    guard facts.blasIsCorrect else {
      return .problem(
        "BLAS", "\(facts.blas) computes wrong products on this processor.", cure: "export OPENBLAS_CORETYPE=Haswell")
    }
    guard
      let slow = SpeedFinding.ofBLAS(
        kernels: facts.kernels, hasWideVectors: facts.hasAVX512 && !facts.hasOneDNN, coreType: facts.coreType)
    else { return .ok("BLAS", "\(facts.blas)\(facts.hasOneDNN ? "" : ", the widest that the processor has").") }
    return facts.coreType == nil
      ? .note("BLAS", slow.finding, cure: slow.command) : .problem("BLAS", slow.finding, cure: slow.command)
  }

  private static func blasThreads(_ facts: Facts) -> Finding {
    guard let threads = facts.blasThreads, threads != "1" else {
      return .ok("BLAS threads", "one thread a call; a rank's --threads work on reviews of their own.")
    }
    return .note(
      "BLAS threads",
      "OPENBLAS_NUM_THREADS or OMP_NUM_THREADS is \(threads), which bert-ddp sets aside: --threads counts.",
      cure: "unset OPENBLAS_NUM_THREADS OMP_NUM_THREADS")
  }

  // MARK: MPI

  private static func launcher(_ facts: Facts) -> Finding {
    guard facts.hasLauncher || facts.isLaunched else {
      return .problem("MPI", "\(facts.mpi), but mpirun is not on the PATH.", cure: "apt-get install openmpi-bin")
    }
    if facts.isRoot, !facts.allowsRoot, !facts.isLaunched {
      return .note(
        "MPI", "\(facts.mpi); mpirun refuses root unless told twice.",
        cure: "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
    }
    return .ok("MPI", "\(facts.mpi).")
  }

  private static func transports(_ facts: Facts) -> Finding {
    guard let list = facts.transports["OMPI_MCA_btl"] else {
      return .ok("transports", "Open MPI chooses: shared memory within a node, the fastest network between nodes.")
    }
    let names = list.split(separator: ",").map(String.init)
    let excludes = list.hasPrefix("^")
    let hasShared = excludes != names.contains { $0.hasSuffix("vader") || $0.hasSuffix("sm") }
    return hasShared
      ? .note(
        "transports", "OMPI_MCA_btl is \(list); without it Open MPI chooses the fastest itself.",
        cure: "unset OMPI_MCA_btl")
      : .problem(
        "transports", "OMPI_MCA_btl is \(list), so the ranks of a node do not use shared memory.",
        cure: "unset OMPI_MCA_btl")
  }

  // MARK: Memory and files

  private static func sharedMemory(_ facts: Facts) -> Finding {
    let room = "\(facts.sharedDirectory) has room for \(size(facts.sharedBytes))"
    // Message buffers of 4 MiB a rank come out of the same room.
    let needed = (facts.frozenBytes ?? 0) + facts.ranks * (4 << 20)
    guard needed > facts.sharedBytes else {
      let block = facts.frozenBytes.map { ", and the frozen block takes \(size($0))" } ?? ""
      return .ok("shared memory", room + block + ".")
    }
    let gigabytes = max(1, (needed + needed / 4) >> 30 + 1)
    return .problem(
      "shared memory",
      "\(room), and \(size(needed)) are needed, so every rank would keep a copy of the frozen weights.",
      cure: "mount -o remount,size=\(gigabytes)G \(facts.sharedDirectory)   # in a container: --shm-size=\(gigabytes)g")
  }

  private static func output(_ facts: Facts) -> Finding {
    guard let error = facts.outputError else { return .ok("output", "\(facts.output) can be written to.") }
    return .problem(
      "output", "\(facts.output) cannot be written to: \(error).", cure: "bert-ddp train --output $HOME/runs/1 …")
  }

  private static func locks(_ facts: Facts) -> Finding {
    guard facts.outputError == nil else { return .note("locks", "not looked at, as nothing can be written there.") }
    return facts.locksWork
      ? .ok("locks", "the file system of \(facts.output) has locks.")
      : .problem(
        "locks",
        "the file system of \(facts.output) has no locks: two jobs in one directory would not notice, and h5dump and h5py refuse to open files there.",
        cure: "export HDF5_USE_FILE_LOCKING=FALSE   # and give each job an --output of its own")
  }

  private static func space(_ facts: Facts) -> Finding {
    // Two that stay, one being written, and model.h5.
    let needed = facts.checkpointBytes.map { 4 * $0 } ?? 1 << 30
    let free = "\(size(facts.freeBytes)) are free at \(facts.output)"
    guard facts.freeBytes < needed else { return .ok("disk", free + ".") }
    return .problem(
      "disk", "\(free), and the checkpoints of full fine-tuning take up to \(size(needed)).",
      cure: "bert-ddp train --keep-checkpoints 1 --output DIRECTORY-ON-A-LARGER-DISK …")
  }

  private static func limits(_ facts: Facts) -> Finding {
    if let largest = facts.largestFile, largest < facts.checkpointBytes ?? (1 << 30) {
      return .problem("limits", "files may have \(size(largest)) at most (ulimit -f).", cure: "ulimit -f unlimited")
    }
    if let space = facts.addressSpace, space < 64 << 30 {
      return .problem(
        "limits", "a process may have \(size(space)) of address space (ulimit -v), and arenas are reserved, not used.",
        cure: "ulimit -v unlimited")
    }
    // Sockets to every other rank, files, MPI's own.
    let needed = 64 + 4 * facts.ranks
    guard facts.openFiles < needed else { return .ok("limits", "\(facts.openFiles) open files, no limit on sizes.") }
    return .problem("limits", "a process may have \(facts.openFiles) files open.", cure: "ulimit -n 4096")
  }

  private static func count(_ value: Int, _ thing: String) -> String { "\(value) \(thing)\(value == 1 ? "" : "s")" }

  private static func size(_ bytes: Int) -> String {
    bytes < 1 << 30 ? "\(bytes >> 20) MiB" : "\((Double(bytes) / 0x1p30 * 10).rounded() / 10) GiB"
  }
}
