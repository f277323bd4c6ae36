internal import CHDF5
internal import Glibc

/// The owner of an open HDF5 file.
///
/// Objects are named by their path in the file, such as `/tensors/bert.pooler.dense.weight`. Nothing but hard
/// links is followed, so a file cannot refer to another one. The file is closed once, at the end of the owner
/// at the latest; whoever writes calls `close()`, which tells whether everything reached the system.
///
/// It may move to another thread: every call of the library is under one lock.
package struct HDF5File: ~Copyable, @unchecked Sendable {
  /// The file's path, for messages.
  package let path: String
  /// The library's identifier; negative once closed.
  private(set) var id: Int64
  private let descriptor: Descriptor
  private let channel: UnsafeMutablePointer<CHDF5_channel>

  /// Creates a file, or empties the one that is there, for writing and reading.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - userBlock: Bytes at the head that are not HDF5's: 0, or a power of two from 512.
  /// - Returns: The owner of the file, which is in format 1.10.
  /// - Throws: With the system's error where the file cannot be made.
  package static func create(_ path: String, userBlock: Int = 0) throws(HDF5Error) -> HDF5File {
    let descriptor: Descriptor
    do {
      descriptor = try Descriptor(path: path, flags: O_RDWR | O_CREAT)
    } catch {
      throw HDF5Error(.unwritable(error.code), path: path, error.text)
    }
    return try HDF5File(creatingIn: descriptor, path: path, userBlock: userBlock)
  }

  /// Opens a file for reading.
  package static func open(_ path: String) throws(HDF5Error) -> HDF5File {
    let descriptor: Descriptor
    do {
      descriptor = try Descriptor(path: path, flags: O_RDONLY)
    } catch {
      throw HDF5Error(.unreadable(error.code), path: path, error.text)
    }
    return try HDF5File(reading: descriptor, path: path)
  }

  /// Makes an empty HDF5 file of an open one, whatever it holds.
  ///
  /// - Parameters:
  ///   - descriptor: Open for reading and writing. It is duplicated, and may be used further.
  ///   - path: The name for messages.
  ///   - userBlock: Bytes at the head that are not HDF5's: 0, or a power of two from 512.
  /// - Throws: With the system's error where it cannot be written.
  package init(
    creatingIn descriptor: borrowing Descriptor, path: String, userBlock: Int = 0
  ) throws(HDF5Error) {
    Library.enter()
    defer { Library.leave() }
    func failure(_ text: String) -> HDF5Error {
      HDF5Error(.library, path: path, "it cannot be created: \(text)")
    }
    let creation = try Identifier(H5Pcreate(CHDF5_fileCreation()), H5Pclose, failure)
    guard
      H5Pset_userblock(creation.id, hsize_t(userBlock)) >= 0,
      H5Pset_link_creation_order(creation.id, CHDF5_creationOrder()) >= 0,
      H5Pset_obj_track_times(creation.id, false) >= 0
    else { throw failure(Library.errorText()) }
    try self.init(descriptor, path, HDF5Error.Cause.unwritable) { access in
      H5Fcreate(path, CHDF5_truncate(), creation.id, access)
    }
  }

  /// Opens a file that is already open, and reads no other bytes than that one's.
  ///
  /// - Parameters:
  ///   - descriptor: Open for reading. It is duplicated, and may be used further.
  ///   - path: The name for messages.
  /// - Throws: Where it cannot be read or is no HDF5 file.
  package init(reading descriptor: borrowing Descriptor, path: String) throws(HDF5Error) {
    Library.enter()
    defer { Library.leave() }
    try self.init(descriptor, path, HDF5Error.Cause.unreadable) { access in
      H5Fopen(path, CHDF5_readOnly(), access)
    }
  }

  /// Opens through a channel on a duplicate of the descriptor; `open` gets the access list.
  private init(
    _ original: borrowing Descriptor, _ path: String, _ system: (Int32) -> HDF5Error.Cause,
    _ open: (hid_t) -> hid_t
  ) throws(HDF5Error) {
    func failure(_ text: String) -> HDF5Error {
      HDF5Error(.library, path: path, "not a readable HDF5 file: \(text)")
    }
    let duplicate: Descriptor
    do {
      duplicate = try Descriptor(duplicating: original)
    } catch {
      throw HDF5Error(system(error.code), path: path, error.text)
    }
    let access = try Identifier(H5Pcreate(CHDF5_fileAccess()), H5Pclose, failure)
    let channel = UnsafeMutablePointer<CHDF5_channel>.allocate(capacity: 1)
    channel.initialize(to: CHDF5_channel())
    channel.pointee.descriptor = duplicate.number
    // Files of format 1.10 have a checksum on all metadata; a strong close closes whatever is still open in
    // the file.
    let isReady =
      H5Pset_libver_bounds(access.id, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0
      && H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG) >= 0
      && CHDF5_setChannel(access.id, Library.driver, channel) >= 0
    let id = isReady ? open(access.id) : -1
    guard id >= 0 else {
      let text = Library.errorText()
      let state = channel.pointee
      channel.deallocate()
      let code = state.writeError != 0 ? state.writeError : state.readError
      throw code == 0 ? failure(text) : HDF5Error(system(code), path: path, systemErrorText(code))
    }
    self.path = path
    self.id = id
    self.descriptor = duplicate
    self.channel = channel
  }

  /// How many files and objects in files the library has open in the whole process.
  package static var openObjectCount: Int {
    Library.enter()
    defer { Library.leave() }
    return CHDF5_openObjectCount()
  }

  deinit {
    if id >= 0 {
      Library.enter()
      H5Fclose(id)
      Library.leave()
    }
    channel.deallocate()
  }

  /// Writes out what the library still holds and closes the file.
  ///
  /// The system has the bytes then; the disk has them after `Descriptor.synchronize()`.
  ///
  /// - Throws: When this or any earlier write of the file failed, even one whose error was not passed on.
  package consuming func close() throws(HDF5Error) {
    Library.enter()
    defer { Library.leave() }
    let status = H5Fclose(id)
    id = -1
    try checkWrites()
    if status < 0 { throw error(.library, nil, "it cannot be closed: \(Library.errorText())") }
  }

  /// Throws when a write has failed so far; the library itself is not told of it (see `channel.h`).
  func checkWrites(object: String? = nil) throws(HDF5Error) {
    if let error = writeError(object) { throw error }
  }

  /// The first write that failed.
  private func writeError(_ object: String?) -> HDF5Error? {
    let state = channel.pointee
    guard state.writeError != 0 else { return nil }
    let text = systemErrorText(state.writeError)
    return error(
      .unwritable(state.writeError), object,
      "\(text) while writing \(state.failedCount) bytes at byte \(state.failedOffset)")
  }

  /// An error about this file.
  func error(_ cause: HDF5Error.Cause, _ object: String?, _ detail: String) -> HDF5Error {
    HDF5Error(cause, path: path, object: object, detail)
  }

  /// The library's last error about this file, or the system's where reading or writing failed: the library
  /// trips over what was not written when it needs it again.
  func libraryError(_ object: String?, _ text: String) -> HDF5Error {
    if let error = writeError(object) { return error }
    let code = channel.pointee.readError
    return code == 0 ? error(.library, object, text) : error(.unreadable(code), object, systemErrorText(code))
  }
}
