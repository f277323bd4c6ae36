internal import Failures

/// Which modules a configuration selects, and with which rank and alpha: PEFT's rules, compiled once.
///
/// - SeeAlso: PEFT's `check_target_module_exists` and `get_pattern_key`.
package struct PEFTModules {
  private let configuration: PEFTConfiguration
  private let target: ModulePattern?
  private let exclusion: ModulePattern?
  private let saved: [ModulePattern]
  private let ranks: [(pattern: ModulePattern, value: Int)]
  private let alphas: [(pattern: ModulePattern, value: Double)]

  /// The rules of a configuration.
  /// - Throws: `Failure(.badContent)` when one of its patterns is malformed or not supported.
  package init(_ configuration: PEFTConfiguration, source: String) throws {
    func pattern(_ modules: PEFTConfiguration.Modules?) throws -> ModulePattern? {
      guard case .pattern(let expression) = modules else { return nil }
      return try ModulePattern(expression, source: source)
    }
    self.configuration = configuration
    target = try pattern(configuration.targets)
    exclusion = try pattern(configuration.excluded)
    saved = try configuration.modulesToSave.map {
      try ModulePattern("(^|.*\\.)(\($0))($|\\..*)", source: source)
    }
    ranks = try configuration.rankOverrides.map {
      (try ModulePattern("(.*\\.)?(\($0.pattern))", source: source), $0.value)
    }
    alphas = try configuration.alphaOverrides.map {
      (try ModulePattern("(.*\\.)?(\($0.pattern))", source: source), $0.value)
    }
    for name in configuration.layersPatterns {
      guard name.utf8.allSatisfy({ $0 == UInt8(ascii: "_") || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) })
      else {
        throw Failure(
          .badContent, "\(source): layers_pattern has \(name.quoted); only plain names are supported there")
      }
    }
  }

  /// Whether a module has an update.
  /// - Parameters:
  ///   - name: Its full name in the model that was trained.
  ///   - isEmbedding: Whether it is an embedding, which `all-linear` leaves out.
  /// - Returns: Whether it is selected and neither excluded nor saved whole.
  package func isTarget(_ name: String, isEmbedding: Bool) -> Bool {
    if isExcluded(name) || isSaved(name) { return false }
    switch configuration.targets {
    case .allLinear: return !isEmbedding
    case .pattern: return target?.matches(name) ?? false
    case .named(let names):
      if names.contains(name) { return true }
      guard names.contains(where: { name.hasSuffix("." + $0) }) else { return false }
      guard let layers = configuration.layers else { return true }
      return layer(of: name).map(layers.contains) ?? false
    }
  }

  /// Whether a module, or one that holds it, is in `modules_to_save`.
  package func isSaved(_ name: String) -> Bool { saved.contains { $0.matches(name) } }

  /// The rank of a module's update.
  package func rank(of name: String) -> Int {
    ranks.first { $0.pattern.matches(name) }?.value ?? configuration.rank
  }

  /// The factor of a module's update: alpha / r, or alpha / √r.
  package func scaling(of name: String) -> Double {
    let alpha = alphas.first { $0.pattern.matches(name) }?.value ?? configuration.alpha
    let rank = Double(rank(of: name))
    return alpha / (configuration.usesRankStabilization ? rank.squareRoot() : rank)
  }

  private func isExcluded(_ name: String) -> Bool {
    if let exclusion { return exclusion.matches(name) }
    guard case .named(let names) = configuration.excluded else { return false }
    return names.contains { name == $0 || name.hasSuffix("." + $0) }
  }

  /// The number that `layers_to_transform` is compared with.
  private func layer(of name: String) -> Int? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    for index in parts.indices.dropLast() where index > 0 {
      guard let number = Int(parts[index]), number >= 0 else { continue }
      let list = String(parts[index - 1])
      if configuration.layersPatterns.isEmpty ? index >= 2 : configuration.layersPatterns.contains(list) {
        return number
      }
    }
    return nil
  }
}
