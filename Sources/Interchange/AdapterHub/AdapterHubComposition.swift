internal import Failures
internal import JSON

/// How adapters are composed.
package indirect enum AdapterHubComposition: Equatable, Sendable {
  /// One adapter.
  case single(String)
  /// One after the other.
  case stack([AdapterHubComposition])
  /// Side by side, weighed by a fusion.
  case fuse([AdapterHubComposition])

  /// The adapters' names, from left to right, each once.
  package var adapters: [String] {
    switch self {
    case .single(let name): return [name]
    case .stack(let parts), .fuse(let parts):
      var seen: Set<String> = []
      return parts.flatMap(\.adapters).filter { seen.insert($0).inserted }
    }
  }

  /// The names of the fused adapters of each fusion in it; of a stack that is fused, its last adapter counts.
  package var fusions: [[String]] {
    switch self {
    case .single: []
    case .stack(let parts): parts.flatMap(\.fusions)
    case .fuse(let parts): [parts.map(\.last)] + parts.flatMap(\.fusions)
    }
  }

  /// The rightmost adapter.
  package var last: String {
    switch self {
    case .single(let name): name
    case .stack(let parts), .fuse(let parts): parts.last?.last ?? ""
    }
  }

  /// As the library writes it, such as `Stack(ko, Fuse(a, b))`.
  package var description: String {
    switch self {
    case .single(let name): name
    case .stack(let parts): "Stack(\(parts.map(\.description).joined(separator: ", ")))"
    case .fuse(let parts): "Fuse(\(parts.map(\.description).joined(separator: ", ")))"
    }
  }

  /// The value of `adapter_setup`.
  var json: JSONValue {
    func block(_ type: String, _ children: [JSONValue]) -> JSONValue {
      .members(["type": .string(type), "children": .array(children)])
    }
    return switch self {
    case .single(let name): block("single", [.string(name)])
    case .stack(let parts): block("Stack", parts.map(\.json))
    case .fuse(let parts): block("Fuse", parts.map(\.json))
    }
  }

  /// Reads the value of `adapter_setup`; a tree of JSON is at most 16 deep, so this is too.
  /// - Throws: `Failure(.badContent)` at compositions that are malformed or not supported.
  init(_ value: JSONValue, source: String) throws {
    var reader = try ConfigurationReader(value, source: source)
    let type = try reader.required("type", reader.string("type"))
    let children = try reader.required("children", reader.value("children"))
    guard case .array(let elements) = children, 1...64 ~= elements.count else {
      throw reader.failure("children", children, "a list of 1 to 64 adapters")
    }
    try reader.refuse("kwargs", "a composition with options")
    switch type {
    case "single":
      guard elements.count == 1, case .string(let name) = elements[0], Folder.isPlain(name) else {
        throw reader.failure("children", children, "one name without '/' and '.'")
      }
      self = .single(name)
    case "Stack": self = .stack(try elements.map { try AdapterHubComposition($0, source: source) })
    case "Fuse": self = .fuse(try elements.map { try AdapterHubComposition($0, source: source) })
    default:
      throw Failure(
        .badContent, "\(source): the composition \(type.quoted) is not supported; Stack and Fuse are")
    }
  }

  /// Checks that the library allows the composition: fusions only of adapters and stacks, stacks not inside stacks.
  /// - Throws: `Failure(.badContent)` when it does not.
  func checkNesting(source: String) throws {
    func refuse() -> Failure {
      Failure(.badContent, "\(source): the composition \(description.quoted) is not allowed by the library")
    }
    switch self {
    case .single: return
    case .stack(let parts):
      for part in parts {
        if case .stack = part { throw refuse() }
        try part.checkNesting(source: source)
      }
    case .fuse(let parts):
      for part in parts {
        if case .fuse = part { throw refuse() }
        if case .stack(let inner) = part, inner.contains(where: { $0 != .single($0.last) }) { throw refuse() }
        try part.checkNesting(source: source)
      }
    }
  }
}
