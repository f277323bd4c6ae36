internal import CHDF5

/// The owner of one identifier of the library: a dataset, dataspace, type, group, attribute or property list.
struct Identifier: ~Copyable {
  /// The library's number; valid as long as the owner.
  let id: hid_t
  private let close: @convention(c) (hid_t) -> herr_t

  /// Takes over an identifier that a call has just returned.
  ///
  /// - Throws: The error that `failure` makes of the library's text when the call returned none.
  init(
    _ id: hid_t, _ close: @escaping @convention(c) (hid_t) -> herr_t, _ failure: (String) -> HDF5Error
  ) throws(HDF5Error) {
    guard id >= 0 else { throw failure(Library.errorText()) }
    self.id = id
    self.close = close
  }

  deinit {
    Library.enter()
    _ = close(id)
    Library.leave()
  }
}
