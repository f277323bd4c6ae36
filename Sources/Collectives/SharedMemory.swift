internal import CMPI
internal import Glibc

/// The node's shared memory as Open MPI uses it.
package enum SharedMemory {
  /// The directory where Open MPI puts what a node's ranks share, `/dev/shm` nearly always.
  ///
  /// Asked of MPI itself (its variable `osc_sm_backing_directory`), so that every way of setting it counts.
  package static var directory: String {
    var provided: CInt = 0
    guard MPI_T_init_thread(CInt(MPI_THREAD_SINGLE), &provided) == MPI_SUCCESS else { return "/dev/shm" }
    defer { MPI_T_finalize() }
    var index: CInt = 0
    guard MPI_T_cvar_get_index("osc_sm_backing_directory", &index) == MPI_SUCCESS else { return "/dev/shm" }
    var handle: MPI_T_cvar_handle?
    var length: CInt = 0
    guard MPI_T_cvar_handle_alloc(index, nil, &handle, &length) == MPI_SUCCESS, length > 0 else {
      return "/dev/shm"
    }
    defer { MPI_T_cvar_handle_free(&handle) }
    var text = [CChar](repeating: 0, count: Int(length) + 1)
    guard MPI_T_cvar_read(handle, &text) == MPI_SUCCESS, text[0] != 0 else { return "/dev/shm" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Bytes that can still be shared: free space of the directory's file system, less what the ranks' message
  /// buffers (4 MiB each, touched as they are used) may still claim there.
  package static func available(in directory: String, ranks: Int) -> Int {
    var information = statvfs()
    guard statvfs(directory, &information) == 0 else { return 0 }
    let free = Int(clamping: information.f_bavail).multipliedReportingOverflow(by: Int(information.f_frsize))
    return max(0, (free.overflow ? Int.max : free.partialValue) - ranks * (4 << 20))
  }

  /// Takes the pages now. Writing to a page that shared memory has no room for would end the process with SIGBUS;
  /// this says so instead (`MADV_POPULATE_WRITE`, Linux 5.14; older kernels do not know it and are believed).
  static func reserve(_ pages: UnsafeMutableRawBufferPointer) -> Bool {
    let populateWrite: CInt = 23
    return madvise(pages.baseAddress, pages.count, populateWrite) == 0 || errno == EINVAL
  }

  /// Has Open MPI move large messages through shared buffers instead of reading another process's memory
  /// (`process_vm_readv`): 1.5 times as fast for pieces of `Communicator.chunkBytes`, and containers often forbid the
  /// other, which Open MPI does not notice (it prints "Read -1, expected …" for ever). Before `MPI_Init`.
  static func copyThroughBuffers() {
    setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0)
  }
}

/// Holds a directory to one process at a time, so that two jobs that start together do not both count on the same
/// free space. Patient for ten seconds, then goes on without; given back at the end of its life.
struct DirectoryLock: ~Copyable {
  private let descriptor: CInt

  init(_ directory: String) {
    descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    for _ in 0..<500 where descriptor >= 0 {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK { return }
      usleep(20_000)
    }
  }

  deinit { close(descriptor) }
}
