/// How adapters work together in one model, as a value.
/// - SeeAlso: Pfeiffer et al.: *MAD-X*, 2020 (stacks); *AdapterFusion*, 2021 (fusion).
package indirect enum Composition: Sendable, Equatable, CustomStringConvertible {
  /// One adapter.
  case single(String)
  /// One after another: a language adapter below a task adapter.
  case stack([Composition])
  /// Side by side, mixed by attention.
  case fuse([String])

  /// What is done at a block's end, from the first to the last.
  package enum Stage: Sendable, Equatable {
    /// An adapter.
    case adapter(String)
    /// A fusion of adapters.
    case fusion([String])
  }

  /// The stages, stacks of stacks laid flat.
  package var stages: [Stage] {
    switch self {
    case .single(let name): [.adapter(name)]
    case .stack(let members): members.flatMap(\.stages)
    case .fuse(let names): [.fusion(names)]
    }
  }

  /// The adapters' names, in order.
  package var names: [String] {
    stages.flatMap {
      switch $0 {
      case .adapter(let name): [name]
      case .fusion(let names): names
      }
    }
  }

  /// The members of each fusion.
  package var fusions: [[String]] {
    stages.compactMap {
      if case .fusion(let names) = $0 { names } else { nil }
    }
  }

  /// As the library writes it, such as `Stack(ko, Fuse(a, b))`.
  package var description: String {
    switch self {
    case .single(let name): name
    case .stack(let members): "Stack(\(members.map(\.description).joined(separator: ", ")))"
    case .fuse(let names): "Fuse(\(names.joined(separator: ", ")))"
    }
  }
}
