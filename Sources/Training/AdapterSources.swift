internal import Checkpoints
internal import Collectives
internal import Failures
internal import FineTuning
internal import FoundationEssentials
internal import Tensors

/// The adapters that a run builds on: what `--language-adapter` and `--fuse` name, and how they work together.
struct AdapterSources {
  /// Where their numbers come from, on ranks that lead a node; none on others.
  let parameters: [any ParameterSource]
  /// What a person should know of them: which head was taken, and how old files were read.
  let notices: [String]

  /// Opens what a run names, checks it against the base, and puts the resolved adapters into the run's options;
  /// collective.
  /// - Parameters:
  ///   - run: Gets the adapters, which of them are trained, and the SHA-256 of each one's numbers.
  ///   - base: The base that they have to belong to.
  ///   - communicator: All ranks.
  /// - Throws: The same `Failure` on all ranks.
  init(_ run: inout TrainingConfiguration, _ base: SharedBase, _ communicator: Communicator) throws {
    guard run.languageAdapter != nil || !run.fuse.isEmpty else {
      (parameters, notices) = ([], [])
      return
    }
    let asked = run
    let plan = try communicator.collectively(where: communicator.localRank == 0) {
      try AdapterPlan(asked, base)
    }
    let text = try communicator.shared { Array(try jsonText(plan?.resolved).utf8) }
    let resolved = try communicator.collectively {
      try JSONDecoder().decode(AdapterPlan.Resolved.self, from: Data(text))
    }
    run.methodOptions.adapters = resolved.setup
    run.methodOptions.trainedAdapters = resolved.trained
    run.adapterSHA256 = resolved.digests
    parameters = plan?.sources ?? []
    notices = resolved.notices
  }
}

extension AdapterSources {
  /// Checks what can be known of a fusion before its new adapters are trained: that the others are there and belong to
  /// the base, that each has a name of its own, and that all of them go together; collective.
  /// - Throws: The same `Failure` on all ranks.
  static func check(_ run: TrainingConfiguration, _ communicator: Communicator) throws {
    let base = try SharedBase(run, communicator)
    try communicator.collectively(where: communicator.localRank == 0) { try AdapterPlan.check(run, base) }
  }
}

/// Which adapters a run has, on a rank that read them.
private struct AdapterPlan {
  /// What every rank has to know.
  struct Resolved: Codable {
    let setup: AdapterSetup
    let trained: [String]
    let digests: [String: String]
    let notices: [String]
  }

  let resolved: Resolved
  let sources: [AdapterSource]

  init(_ run: TrainingConfiguration, _ base: SharedBase) throws {
    let language = try run.languageAdapter.map { text in
      let member = try FuseMember(text, option: "language-adapter")
      return try AdapterSource(opening: member.path ?? "", as: member.name, base, classCount: run.labelCount)
    }
    var fused = try run.fuse.map { text in
      let member = try FuseMember(text)
      guard let path = member.path else {
        throw Failure(.other, "the adapter \(text) was to be trained before the fusion, and was not.")
      }
      return try AdapterSource(opening: path, as: member.name, base, classCount: run.labelCount)
    }
    let members = ((language.map { [$0] } ?? []) + fused).map { ($0.name, $0.configuration) }
    var configurations = try AdapterPlan.byName(members)
    try AdapterPlan.requireOneBase((language.map { [$0] } ?? []) + fused)
    var notices: [String] = []
    var top: Composition
    var trained: [String]
    if fused.isEmpty {
      let name = language?.name == FineTuningOptions.newAdapter ? "new" : FineTuningOptions.newAdapter
      configurations[name] = try run.methodOptions.adapter()
      (top, trained) = (.single(name), [name])
    } else {
      (top, trained) = (.fuse(fused.map(\.name)), [])
      if run.trainsAdapters {
        trained = fused.filter(\.hasHead).map(\.name)
        guard !trained.isEmpty else {
          throw Failure(
            .usage,
            "--train-adapters trains the fused adapters that were trained on a task, and none of \(top) brings a head; leave it out."
          )
        }
      }
      // The fusion starts from the head of the last task that it mixes.
      if let index = fused.lastIndex(where: \.headFits) {
        fused[index].offersHead = true
        notices.append("the head starts as that of \(fused[index].name)")
      }
    }
    if let language { top = .stack([.single(language.name), top]) }
    sources = (language.map { [$0] } ?? []) + fused
    resolved = Resolved(
      setup: try AdapterSetup(configurations, top), trained: trained,
      digests: Dictionary(uniqueKeysWithValues: try sources.map { ($0.name, try $0.contentSHA256()) }),
      notices: sources.flatMap(\.notices) + notices)
  }

  private static func byName(
    _ members: [(name: String, configuration: AdapterConfiguration)]
  ) throws -> [String: AdapterConfiguration] {
    var configurations: [String: AdapterConfiguration] = [:]
    for (name, configuration) in members {
      guard configurations.updateValue(configuration, forKey: name) == nil else {
        throw Failure(
          .usage, "two adapters are called \(name); name them yourself, as in --fuse \(name)=PATH,other=PATH.")
      }
    }
    return configurations
  }

  /// See `AdapterSources.check`.
  static func check(_ run: TrainingConfiguration, _ base: SharedBase) throws {
    func member(_ text: String, _ option: String) throws -> (name: String, configuration: AdapterConfiguration) {
      let member = try FuseMember(text, option: option)
      guard let path = member.path else { return (member.name ?? "", try run.methodOptions.adapter()) }
      let source = try AdapterSource(opening: path, as: member.name, base, classCount: run.labelCount)
      return (source.name, source.configuration)
    }
    let language = try run.languageAdapter.map { try member($0, "language-adapter") }
    let fused = try run.fuse.map { try member($0, "fuse") }
    var top = Composition.fuse(fused.map(\.name))
    if let language { top = .stack([.single(language.name), top]) }
    var planned = run
    planned.methodOptions.adapters = try AdapterSetup(byName((language.map { [$0] } ?? []) + fused), top)
    let method = try planned.fineTuningMethod()
    _ = try method.table(for: base.configuration)
    if run.cacheFrozen == true { _ = try FrozenOutputs.layerCount(method, base.configuration) }
  }

  /// Folders name their base; two that name different ones do not belong together.
  private static func requireOneBase(_ sources: [AdapterSource]) throws {
    var first: (adapter: String, base: String)?
    for source in sources {
      guard let path = source.baseName, let base = path.split(separator: "/").last.map(String.init) else { continue }
      guard let known = first else {
        first = (source.name, base)
        continue
      }
      guard known.base == base else {
        throw Failure(
          .badContent,
          "the adapter \(known.adapter) was trained on \(known.base) and \(source.name) on \(base); use adapters of one base."
        )
      }
    }
  }
}

/// One entry of `--fuse`: `PATH`, `NAME=PATH`, `NAME=new` or `new`.
struct FuseMember {
  /// What the run calls the adapter; the file's own name for it when nil.
  let name: String?
  /// Where it is; nil for one that is to be trained first.
  let path: String?

  /// Reads an entry.
  /// - Throws: `Failure` of kind `usage` when it is none.
  init(_ text: String, option: String = "fuse") throws {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    // A path may have an "=" further in.
    let isNamed = parts.count == 2 && !parts[0].contains("/")
    let path = isNamed ? parts[1] : text
    guard !path.isEmpty, !isNamed || !parts[0].isEmpty else {
      throw Failure(.usage, "--\(option) has \"\(text)\", expected PATH, NAME=PATH or NAME=new.")
    }
    let isNew = path == "new"
    guard !isNew || option == "fuse" else {
      throw Failure(.usage, "--\(option) is \"\(text)\", expected the path of a trained adapter.")
    }
    self.path = isNew ? nil : path
    name = isNamed ? parts[0] : (isNew ? FineTuningOptions.newAdapter : nil)
  }
}

extension TrainingConfiguration {
  /// What the adapters are that a run takes from files, whatever their paths: SHA-256 by the option and the name.
  /// - Throws: `Failure` when one of them is missing or unreadable.
  package func adapterFileDigests() throws -> [String: String] {
    let members =
      try (languageAdapter.map { [("language_adapter", try FuseMember($0, option: "language-adapter"))] } ?? [])
      + fuse.enumerated().map { ("fuse_\($0.offset + 1)", try FuseMember($0.element)) }
    return try members.reduce(into: [:]) { digests, entry in
      let (option, member) = entry
      digests[option] = "\(member.name ?? "")=\(try member.path.map(fileDigest) ?? "new")"
    }
  }
}

/// SHA-256 of a file, or of a folder's files with their names.
private func fileDigest(_ path: String) throws -> String {
  guard isDirectory(path) else { return try Digest.hex(ofFile: path) }
  let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
  let lines = try names.filter { !isDirectory(path + "/" + $0) }.map {
    "\($0) \(try Digest.hex(ofFile: path + "/" + $0))"
  }
  return Digest.hex(of: Array(lines.joined(separator: "\n").utf8))
}
