internal import Failures
package import FineTuning
package import Interchange

extension Composition {
  /// A composition of the library as one here.
  /// - Throws: `Failure(.badContent)` when it fuses anything but single adapters.
  package init(_ other: AdapterHubComposition) throws {
    switch other {
    case .single(let name): self = .single(name)
    case .stack(let parts):
      let members = try parts.map { try Composition($0) }
      // The library writes a single adapter as a stack of one.
      self = members.count == 1 ? members[0] : .stack(members)
    case .fuse(let parts):
      self = .fuse(
        try parts.map {
          guard case .single(let name) = $0 else {
            throw Failure(.badContent, "the composition fuses \($0.description); only single adapters are fused here.")
          }
          return name
        })
    }
  }
}

extension AdapterHubComposition {
  /// A composition here as one of the library.
  package init(_ other: Composition) {
    switch other {
    case .single(let name): self = .single(name)
    case .stack(let members): self = .stack(members.map { AdapterHubComposition($0) })
    case .fuse(let names): self = .fuse(names.map { .single($0) })
    }
  }
}
