internal import CHDF5
internal import Glibc

/// The C library: started once, entered by one thread at a time, silent.
///
/// libhdf5 is in general not thread-safe. Every function of this room that calls it is between `enter` and
/// `leave`; the lock is recursive, since owners close their identifiers wherever they end.
enum Library {
  private static let lock = RecursiveLock()

  /// The driver of `channel.h`, registered with the library on first use.
  static let driver: hid_t = {
    // No cleaning up at exit: owners close what they open, and a file that failed must not be flushed once
    // more.
    H5dont_atexit()
    H5open()
    // A file must not make the library load code: no filter plug-ins from HDF5_PLUGIN_PATH.
    H5PLset_loading_state(0)
    return CHDF5_registerChannelDriver()
  }()

  /// Takes the lock; every call needs one `leave`.
  static func enter() {
    lock.lock()
    _ = driver
    // The library prints errors unless told not to, and remembers that per thread where it is built for
    // threads.
    CHDF5_silence()
    CHDF5_clearErrors()
  }

  /// Gives the lock back.
  static func leave() {
    lock.unlock()
  }

  /// What the library's error stack says, from the failed call to its cause: "unable to open file: file
  /// signature not found".
  static func errorText() -> String {
    var lines: [String] = []
    withUnsafeMutablePointer(to: &lines) { context in
      _ = CHDF5_walkErrors(
        { _, entry, context in
          guard let entry, let description = entry.pointee.desc, let context else { return 0 }
          context.assumingMemoryBound(to: [String].self).pointee.append(String(cString: description))
          return 0
        }, context)
    }
    guard let outermost = lines.first, let cause = lines.last else { return "no reason given" }
    return outermost == cause ? cause : "\(outermost): \(cause)"
  }
}

/// A mutual exclusion that the thread that holds it may take again.
private final class RecursiveLock: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() {
    var attributes = pthread_mutexattr_t()
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_settype(&attributes, CInt(PTHREAD_MUTEX_RECURSIVE))
    pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }
}

/// The version of the library that is there, such as `1.10.8`.
package func hdf5LibraryVersion() -> String {
  // Whatever is called first starts the library, which is to be told first that it does not clean up at exit.
  Library.enter()
  defer { Library.leave() }
  var (major, minor, release): (CUnsignedInt, CUnsignedInt, CUnsignedInt) = (0, 0, 0)
  H5get_libversion(&major, &minor, &release)
  return "\(major).\(minor).\(release)"
}
