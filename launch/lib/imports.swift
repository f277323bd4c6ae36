// Checks that the rooms import each other one way only: imports.swift REPOSITORY < (swift package dump-package)
//
// - What a target imports of the project or of its dependencies' products, it declares in Package.swift: the compiler
//   alone lets an undeclared import through when another target happens to have built the module.
// - The declared dependencies have no cycle.
// - Each system library is imported by exactly one target, so that C stays behind one door.

import Foundation

struct Manifest: Decodable {
  var targets: [Target]

  struct Target: Decodable {
    var name: String
    var type: String
    var path: String?
    var dependencies: [[String: [Item?]]]

    /// Swift spells a module with an underscore where the target has a hyphen.
    var module: String { name.replacingOccurrences(of: "-", with: "_") }
    var folder: String { path ?? (type == "test" ? "Tests/" : "Sources/") + name }
    /// A dependency is an object `{kind: [name, …]}`, the kind being byName, target or product.
    var declared: Set<String> {
      Set(
        dependencies.flatMap(\.values).compactMap { items in
          guard case .name(let name)? = items.first ?? nil else { return nil }
          return name.replacingOccurrences(of: "-", with: "_")
        })
    }
  }

  /// What follows the name (a package, conditions) is of no interest here.
  enum Item: Decodable {
    case name(String)
    case other

    init(from decoder: any Decoder) throws {
      self = (try? decoder.singleValueContainer().decode(String.self)).map(Item.name) ?? .other
    }
  }
}

struct Import {
  var module: String
  var file: String
  var line: Int
}

/// The import declarations of a target's Swift files, whatever attributes and access they have.
func imports(of target: Manifest.Target, in repository: String) throws -> [Import] {
  let declaration =
    #/
    ^ \s* (?: @\w+ (?: \([^)]*\) )? \s+ )*
    (?: (?: public | package | internal | fileprivate | private ) \s+ )?
    import \s+ (?: (?: struct | class | enum | protocol | func | var | let | typealias ) \s+ )? (?<module> \w+ )
    /#
  let folder = repository + "/" + target.folder
  let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
  var found: [Import] = []
  for file in files.sorted() where file.hasSuffix(".swift") {
    let text = try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      guard let match = try declaration.firstMatch(in: line) else { continue }
      found.append(
        Import(module: String(match.module), file: target.folder + "/" + file, line: number + 1))
    }
  }
  return found
}

/// The first cycle of the declared dependencies that is met, as the names on the way; nil where there is none.
func cycle(in graph: [String: Set<String>]) -> [String]? {
  var done: Set<String> = []
  func visit(_ name: String, _ way: [String]) -> [String]? {
    if let start = way.firstIndex(of: name) { return way[start...] + [name] }
    if done.contains(name) { return nil }
    for next in graph[name, default: []].sorted() {
      if let found = visit(next, way + [name]) { return found }
    }
    done.insert(name)
    return nil
  }
  for name in graph.keys.sorted() {
    if let found = visit(name, []) { return found }
  }
  return nil
}

func check(_ manifest: Manifest, in repository: String) throws -> [String] {
  var complaints: [String] = []
  let known = Set(manifest.targets.map(\.module)).union(manifest.targets.flatMap(\.declared))
  var importers: [String: Set<String>] = [:]
  for target in manifest.targets where target.type != "system" {
    for found in try imports(of: target, in: repository) where known.contains(found.module) {
      importers[found.module, default: []].insert(target.name)
      if found.module != target.module && !target.declared.contains(found.module) {
        complaints.append(
          "\(found.file):\(found.line): \(target.name) imports \(found.module), which Package.swift does not"
            + " name among its dependencies")
      }
    }
  }
  for target in manifest.targets where target.type == "system" {
    let found = importers[target.module, default: []].sorted()
    if found.count != 1 {
      complaints.append(
        "\(target.name) is imported by \(found.isEmpty ? "no target" : found.joined(separator: " and "));"
          + " a system library has exactly one importer")
    }
  }
  let graph = Dictionary(manifest.targets.map { ($0.module, $0.declared) }) { first, _ in first }
  if let way = cycle(in: graph) {
    complaints.append("dependencies in a circle: " + way.joined(separator: " → "))
  }
  return complaints
}

guard CommandLine.arguments.count == 2 else {
  print("usage: imports.swift REPOSITORY < (swift package dump-package)")
  exit(64)
}
let manifest = try JSONDecoder().decode(Manifest.self, from: FileHandle.standardInput.readDataToEndOfFile())
let complaints = try check(manifest, in: CommandLine.arguments[1])
for complaint in complaints { print("error: " + complaint) }
print("\(manifest.targets.count) targets, \(complaints.count) complaints")
exit(complaints.isEmpty ? 0 : 1)
