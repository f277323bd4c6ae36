internal import Failures

/// The form of AdapterHub's `adapter_setup.json`: `{"type": "Stack", "children": […]}`, names as `"single"`.
extension Composition: Codable {
  private enum CodingKeys: String, CodingKey { case type, children }

  /// Reads a composition; kinds other than stacks and fusions of names are refused by name.
  /// - Throws: `Failure` that names what we do not have.
  package init(from decoder: any Decoder) throws {
    let keys = try decoder.container(keyedBy: CodingKeys.self)
    let type = try keys.decode(String.self, forKey: .type)
    switch type {
    case "single":
      guard let name = try keys.decode([String].self, forKey: .children).first else {
        throw Failure(.badContent, "a composition has a \"single\" without a name.")
      }
      self = .single(name)
    case "Stack":
      self = .stack(try keys.decode([Composition].self, forKey: .children))
    case "Fuse":
      let members = try keys.decode([Composition].self, forKey: .children)
      self = .fuse(
        try members.map {
          guard case .single(let name) = $0 else {
            throw Failure(.badContent, "the composition fuses \($0), and we fuse single adapters only.")
          }
          return name
        })
    default:
      throw Failure(.badContent, "the composition is a \"\(type)\", expected Stack, Fuse or single.")
    }
  }

  /// Writes the library's form.
  package func encode(to encoder: any Encoder) throws {
    var keys = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .single(let name):
      try keys.encode("single", forKey: .type)
      try keys.encode([name], forKey: .children)
    case .stack(let members):
      try keys.encode("Stack", forKey: .type)
      try keys.encode(members, forKey: .children)
    case .fuse(let names):
      try keys.encode("Fuse", forKey: .type)
      try keys.encode(names.map(Composition.single), forKey: .children)
    }
  }
}
