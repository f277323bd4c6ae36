internal import Failures
internal import FineTuning
internal import Interchange

/// The parts of a setup of AdapterHub's library, put together as one setup here.
struct SetupParts {
  let setup: AdapterSetup
  /// Those of all adapters and fusions that are in use.
  let tensors: [ForeignTensor]
  /// Sentences for a person.
  let notices: [String]
  private let adapters: [AdapterHubAdapter]

  /// - Throws: `Failure(.badContent)` when the setup has no form here.
  init(
    path: String, _ composition: AdapterHubComposition, _ adapters: [AdapterHubAdapter],
    _ fusions: [AdapterHubFusion]
  ) throws {
    self.adapters = adapters
    var notices = adapters.flatMap(\.notices)
    var configurations: [String: AdapterConfiguration] = [:]
    // The library runs the block of the leftmost adapter only.
    let first = composition.adapters.first
    var unused: [String] = []
    for adapter in adapters {
      guard case .bottleneck(let bottleneck) = adapter.configuration else {
        throw Failure(
          .badContent,
          "\(path): \(composition.description) has \(adapter.name), which is no bottleneck adapter; only those work together here."
        )
      }
      var configuration = try blaming(adapter.path) { try AdapterConfiguration(bottleneck) }
      if configuration.invertibleReduction != nil, adapter.name != first {
        (configuration.invertibleReduction, configuration.invertibleActivation) = (nil, nil)
        unused.append(AdapterNames.invertible(adapter.name) + ".")
        notices.append(
          "\(path): in \(composition.description), the invertible block of \(adapter.name) is not in use and is left out"
        )
      }
      configurations[adapter.name] = configuration
    }
    let fusion = try SetupParts.fusion(of: fusions, path)
    let known = configurations
    setup = try blaming(path) {
      try AdapterSetup(known, Composition(composition), fusion: fusion ?? FusionConfiguration())
    }
    let archives = adapters.map(\.tensors) + fusions.map(\.tensors)
    tensors = archives.flatMap { archive in archive.entries.map { ForeignTensor($0, in: archive) } }
      .filter { tensor in !unused.contains { tensor.name.hasPrefix($0) } }
    self.notices = notices
  }

  /// The one configuration of all fusions.
  private static func fusion(of fusions: [AdapterHubFusion], _ path: String) throws -> FusionConfiguration? {
    let all = try fusions.map { fusion in try blaming(fusion.path) { try FusionConfiguration(fusion.configuration) } }
    guard all.allSatisfy({ $0 == all[0] }) else {
      throw Failure(.badContent, "\(path): its fusions are configured differently; all of a setup are alike here.")
    }
    return all.first
  }

  /// The head beside the last adapter that has one for classification, as the one loaded last wins in the library.
  func head(_ notices: inout [String]) throws -> AdapterHubHead? {
    let heads = adapters.compactMap { adapter in adapter.head.map { (adapter.name, $0) } }.filter {
      if case .other = $0.1.configuration.kind { false } else { true }
    }
    guard let (name, head) = heads.last else { return nil }
    for (other, candidate) in heads.dropLast() where try !candidate.equals(head) {
      notices.append("the heads of \(other) and \(name) differ; \(name)'s is used, which the library loads last")
      break
    }
    return head
  }
}

extension AdapterHubHead {
  /// Whether another head has the same numbers under the same names.
  fileprivate func equals(_ other: AdapterHubHead) throws -> Bool {
    guard configuration.labels == other.configuration.labels,
      Set(tensors.entries.map(\.name)) == Set(other.tensors.entries.map(\.name))
    else { return false }
    return try tensors.entries.allSatisfy { try tensors.floats($0.name) == other.tensors.floats($0.name) }
  }
}
