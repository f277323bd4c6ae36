internal import CHDF5

extension HDF5File {
  /// Adds a text to an object, as UTF-8 of fixed length: unlike strings of variable length these have a
  /// checksum.
  ///
  /// - Parameters:
  ///   - name: The attribute, not there yet.
  ///   - value: The text, without NUL; of any length.
  ///   - object: The path of a group or dataset.
  /// - Throws: Also when the attribute exists.
  package func setAttribute(_ name: String, _ value: String, on object: String = "/") throws(HDF5Error) {
    guard !value.utf8.contains(0) else {
      throw error(.mismatch, attributeName(name, object), "a text with a NUL character cannot be stored")
    }
    Library.enter()
    defer { Library.leave() }
    let type = try stringType(byteCount: value.utf8.count, name, object)
    // A type of HDF5 has at least one byte; an empty text is one NUL.
    let bytes = value.isEmpty ? [0] : Array(value.utf8)
    try writeAttribute(name, object, fileType: type.id, memoryType: type.id, bytes)
  }

  /// Adds a whole number to an object.
  package func setAttribute(_ name: String, _ value: Int64, on object: String = "/") throws(HDF5Error) {
    try setNumber(name, value, on: object)
  }

  /// Adds a number to an object.
  package func setAttribute(_ name: String, _ value: Double, on object: String = "/") throws(HDF5Error) {
    try setNumber(name, value, on: object)
  }

  /// The text of an attribute, of fixed length and UTF-8.
  package func stringAttribute(_ name: String, on object: String = "/") throws(HDF5Error) -> String {
    Library.enter()
    defer { Library.leave() }
    let attribute = try openAttribute(name, object)
    let type = try Identifier(H5Aget_type(attribute.id), H5Tclose) { attributeError(name, object, $0) }
    guard H5Tget_class(type.id) == H5T_STRING, H5Tis_variable_str(type.id) == 0 else {
      throw error(.mismatch, attributeName(name, object), "expected a text of fixed length")
    }
    let byteCount = H5Tget_size(type.id)
    // What the attribute stores is in the file: a type that claims more is damage, not a reason to allocate.
    guard byteCount > 0, H5Aget_storage_size(attribute.id) == hsize_t(byteCount) else {
      throw error(.library, attributeName(name, object), "its size and its type's do not agree")
    }
    guard byteCount <= fileByteCount else {
      throw error(.library, attributeName(name, object), "it claims to be longer than the file")
    }
    var bytes = [UInt8](repeating: 0, count: byteCount)
    guard bytes.withUnsafeMutableBytes({ H5Aread(attribute.id, type.id, $0.baseAddress) }) >= 0 else {
      throw attributeError(name, object, Library.errorText())
    }
    let text = bytes.prefix { $0 != 0 }
    guard let text = String(validating: text, as: UTF8.self) else {
      throw error(.mismatch, attributeName(name, object), "the text is not UTF-8")
    }
    return text
  }

  /// The value of an attribute that is a 64-bit whole number.
  package func integerAttribute(_ name: String, on object: String = "/") throws(HDF5Error) -> Int64 {
    try number(name, on: object, 0)
  }

  /// The value of an attribute that is a 64-bit floating-point number.
  package func doubleAttribute(_ name: String, on object: String = "/") throws(HDF5Error) -> Double {
    try number(name, on: object, 0)
  }

  /// Whether an object has an attribute.
  package func hasAttribute(_ name: String, on object: String = "/") -> Bool {
    Library.enter()
    defer { Library.leave() }
    return exists(object) && H5Aexists_by_name(id, object, name, CHDF5_defaults()) > 0
  }

  /// The names of an object's attributes, sorted.
  package func attributeNames(on object: String = "/") throws(HDF5Error) -> [String] {
    Library.enter()
    defer { Library.leave() }
    try requireHardLinks(object)
    let owner = try Identifier(H5Oopen(id, object, CHDF5_defaults()), H5Oclose) {
      libraryError(object, "it cannot be opened: \($0)")
    }
    var names: [String] = []
    while true {
      let position = hsize_t(names.count)
      let length = H5Aget_name_by_idx(
        owner.id, ".", H5_INDEX_NAME, H5_ITER_INC, position, nil, 0, CHDF5_defaults())
      guard length > 0 else { return names }
      var bytes = [CChar](repeating: 0, count: length + 1)
      H5Aget_name_by_idx(
        owner.id, ".", H5_INDEX_NAME, H5_ITER_INC, position, &bytes, length + 1, CHDF5_defaults())
      names.append(String(decoding: bytes.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self))
    }
  }

  // MARK: - The library's calls

  private func setNumber<Number: HDF5Element>(
    _ name: String, _ value: Number, on object: String
  ) throws(HDF5Error) {
    Library.enter()
    defer { Library.leave() }
    let kind = Number.elementKind
    let bytes = withUnsafeBytes(of: value, Array.init)
    try writeAttribute(name, object, fileType: kind.fileType, memoryType: kind.memoryType, bytes)
  }

  private func number<Number: HDF5Element>(
    _ name: String, on object: String, _ zero: Number
  ) throws(HDF5Error) -> Number {
    Library.enter()
    defer { Library.leave() }
    let kind = Number.elementKind
    let attribute = try openAttribute(name, object)
    let type = try Identifier(H5Aget_type(attribute.id), H5Tclose) { attributeError(name, object, $0) }
    guard ElementKind(fileType: type.id) == kind, H5Aget_storage_size(attribute.id) == hsize_t(kind.byteCount)
    else {
      throw error(.mismatch, attributeName(name, object), "expected one number of type \(kind.rawValue)")
    }
    var value = zero
    guard H5Aread(attribute.id, kind.memoryType, &value) >= 0 else {
      throw attributeError(name, object, Library.errorText())
    }
    return value
  }

  private func writeAttribute(
    _ name: String, _ object: String, fileType: hid_t, memoryType: hid_t, _ bytes: [UInt8]
  ) throws(HDF5Error) {
    try requireHardLinks(object)
    let space = try Identifier(H5Screate(H5S_SCALAR), H5Sclose) { attributeError(name, object, $0) }
    let attribute = try Identifier(
      H5Acreate_by_name(
        id, object, name, fileType, space.id, CHDF5_defaults(), CHDF5_defaults(), CHDF5_defaults()),
      H5Aclose
    ) { attributeError(name, object, $0) }
    guard H5Awrite(attribute.id, memoryType, bytes) >= 0 else {
      throw attributeError(name, object, Library.errorText())
    }
    try checkWrites(object: attributeName(name, object))
  }

  private func openAttribute(_ name: String, _ object: String) throws(HDF5Error) -> Identifier {
    try requireHardLinks(object)
    guard H5Aexists_by_name(id, object, name, CHDF5_defaults()) > 0 else {
      throw error(.missing, attributeName(name, object), "the attribute is not in the file")
    }
    return try Identifier(
      H5Aopen_by_name(id, object, name, CHDF5_defaults(), CHDF5_defaults()), H5Aclose
    ) { attributeError(name, object, $0) }
  }

  private func stringType(byteCount: Int, _ name: String, _ object: String) throws(HDF5Error) -> Identifier {
    let type = try Identifier(H5Tcopy(CHDF5_cString()), H5Tclose) { attributeError(name, object, $0) }
    guard
      H5Tset_size(type.id, max(1, byteCount)) >= 0, H5Tset_strpad(type.id, H5T_STR_NULLPAD) >= 0,
      H5Tset_cset(type.id, H5T_CSET_UTF8) >= 0
    else { throw attributeError(name, object, Library.errorText()) }
    return type
  }

  private func attributeError(_ name: String, _ object: String, _ text: String) -> HDF5Error {
    libraryError(attributeName(name, object), "the attribute cannot be written or read: \(text)")
  }

  /// How messages call an attribute: `step` of the root, `/tensors/x.units` of others.
  private func attributeName(_ name: String, _ object: String) -> String {
    object == "/" ? name : "\(object).\(name)"
  }
}
