internal import CHDF5

extension HDF5File {
  /// What a name in a group stands for.
  package enum LinkKind: Sendable, Equatable {
    case group, dataset
    /// A soft or external link, a named type, or an object that cannot be opened: nothing that is followed.
    case other
  }

  /// A name in a group.
  package struct Link: Sendable, Equatable {
    /// The name, without the group's path.
    package let name: String
    /// What it stands for.
    package let kind: LinkKind

    /// A name and what it stands for.
    package init(name: String, kind: LinkKind) {
      self.name = name
      self.kind = kind
    }
  }

  /// Makes a group, and the groups above it that are missing. A group that exists is left as it is.
  package func createGroup(_ path: String) throws(HDF5Error) {
    Library.enter()
    defer { Library.leave() }
    var parent = ""
    for component in components(path) {
      parent += "/" + component
      if CHDF5_isHardLink(id, parent) > 0 { continue }
      try makeGroup(parent)
    }
    try checkWrites(object: path)
  }

  /// Makes one group that remembers the order in which its members are made.
  private func makeGroup(_ path: String) throws(HDF5Error) {
    let creation = try Identifier(H5Pcreate(CHDF5_groupCreation()), H5Pclose) { libraryError(path, $0) }
    guard
      H5Pset_link_creation_order(creation.id, CHDF5_creationOrder()) >= 0,
      H5Pset_obj_track_times(creation.id, false) >= 0
    else { throw libraryError(path, Library.errorText()) }
    _ = try Identifier(
      H5Gcreate2(id, path, CHDF5_defaults(), creation.id, CHDF5_defaults()), H5Gclose
    ) { libraryError(path, "the group cannot be made: \($0)") }
  }

  /// The names in a group, in the order in which they were made, or by name where the file does not know it.
  package func links(in group: String) throws(HDF5Error) -> [Link] {
    Library.enter()
    defer { Library.leave() }
    try requireHardLinks(group)
    let owner = try Identifier(H5Gopen2(id, group, CHDF5_defaults()), H5Gclose) {
      libraryError(group, "not a readable group: \($0)")
    }
    var info = H5G_info_t()
    guard H5Gget_info(owner.id, &info) >= 0 else {
      throw libraryError(group, "its members cannot be counted: \(Library.errorText())")
    }
    let order = hasCreationOrder(owner.id) ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME
    var links: [Link] = []
    for position in 0..<info.nlinks {
      let name = try linkName(owner.id, position, order, in: group)
      links.append(Link(name: name, kind: linkKind(owner.id, name)))
    }
    return links
  }

  /// Whether a group, dataset or other object stands at a path that hard links lead to.
  package func exists(_ path: String) -> Bool {
    Library.enter()
    defer { Library.leave() }
    return (try? requireHardLinks(path)) != nil
  }

  private func hasCreationOrder(_ group: hid_t) -> Bool {
    let list = H5Gget_create_plist(group)
    guard list >= 0 else { return false }
    defer { H5Pclose(list) }
    var flags: UInt32 = 0
    return H5Pget_link_creation_order(list, &flags) >= 0 && flags == CHDF5_creationOrder()
  }

  private func linkName(
    _ group: hid_t, _ position: hsize_t, _ order: H5_index_t, in path: String
  ) throws(HDF5Error) -> String {
    let length = H5Lget_name_by_idx(group, ".", order, H5_ITER_INC, position, nil, 0, CHDF5_defaults())
    guard length > 0 else {
      throw libraryError(path, "member \(position) has no readable name: \(Library.errorText())")
    }
    var bytes = [UInt8](repeating: 0, count: length + 1)
    let found = bytes.withUnsafeMutableBytes {
      H5Lget_name_by_idx(
        group, ".", order, H5_ITER_INC, position, $0.bindMemory(to: CChar.self).baseAddress, length + 1,
        CHDF5_defaults())
    }
    guard found == length, let name = String(validating: bytes.dropLast(), as: UTF8.self) else {
      throw libraryError(path, "member \(position) has a name that is not UTF-8")
    }
    return name
  }

  private func linkKind(_ group: hid_t, _ name: String) -> LinkKind {
    guard CHDF5_isHardLink(group, name) > 0 else { return .other }
    let object = H5Oopen(group, name, CHDF5_defaults())
    guard object >= 0 else { return .other }
    defer { H5Oclose(object) }
    switch H5Iget_type(object) {
    case H5I_GROUP: return .group
    case H5I_DATASET: return .dataset
    default: return .other
    }
  }

  /// The names along a path.
  func components(_ path: String) -> [Substring] {
    path.split(separator: "/")
  }

  /// Checks that only hard links lead to a path: soft ones could loop, external ones lead into other files.
  func requireHardLinks(_ path: String) throws(HDF5Error) {
    var parent = ""
    for component in components(path) {
      parent += "/" + component
      switch CHDF5_isHardLink(id, parent) {
      case 1: continue
      case 0: throw error(.mismatch, parent, "it is a link to elsewhere, which is not followed")
      default: throw error(.missing, parent, "it is not in the file")
      }
    }
  }
}
