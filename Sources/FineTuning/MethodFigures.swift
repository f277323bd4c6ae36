package import BERT
internal import Tensors

/// What a method trains on a base, for the list of methods.
package struct MethodFigures {
  /// The method.
  package let method: any FineTuningMethod
  /// The options of the command line that make it what it is; empty for the method as a person asked for it.
  package let options: String
  /// How many numbers are trained.
  package let trainableCount: Int
  /// How many numbers there are, with what the method adds.
  package let totalCount: Int

  /// Counts.
  /// - Throws: `Failure` when the method's options do not fit the base.
  package init(_ method: any FineTuningMethod, options: String = "", on base: BERTConfiguration) throws {
    let table = try method.table(for: base)
    self.method = method
    self.options = options
    (trainableCount, totalCount) = (table.trainableCount, table.count)
  }

  /// The share of the numbers that is trained.
  package var share: Double { Double(trainableCount) / Double(totalCount) }
  /// What a step sends and receives of its gradients: an all-reduce of four bytes a number.
  package var allReduceBytes: Int { 4 * trainableCount }
}

extension FineTuningMethods {
  /// Every registered method under some options; a fusion is one of two adapters of the kind that they ask for.
  /// - Throws: `Failure` when the options make no sense or do not fit the base.
  package static func figures(_ options: FineTuningOptions, on base: BERTConfiguration) throws -> [MethodFigures] {
    try names.map { try figures($0, options, on: base) }
  }

  /// Other forms of the same methods that people choose among, but for those that the options ask for already.
  /// - Throws: `Failure` when the options make no sense or do not fit the base.
  package static func variants(_ options: FineTuningOptions, on base: BERTConfiguration) throws -> [MethodFigures] {
    func variant(
      _ name: String, _ arguments: String, _ change: (inout FineTuningOptions) -> Void
    ) throws -> MethodFigures? {
      var changed = options
      change(&changed)
      return changed == options ? nil : try figures(name, changed, arguments, on: base)
    }
    let ranks = try [16, 32, 64].map { rank in
      try variant("lora", "--lora-rank \(rank)") { $0.loraRank = rank }
    }
    let forms = [
      try variant("lora", "--lora-targets all-linear") { $0.loraTargets = ["all-linear"] },
      try variant("lora", "--lora-variant dora") { $0.loraVariant = .dora },
    ]
    let adapters = try ["pfeiffer", "houlsby", "parallel", "scaled_parallel"].map { name in
      try variant("adapter", "--adapter-config \(name)") { $0.adapterConfiguration = name }
    }
    return (ranks + forms + adapters).compactMap { $0 }
  }

  private static func figures(
    _ name: String, _ options: FineTuningOptions, _ arguments: String = "", on base: BERTConfiguration
  ) throws -> MethodFigures {
    let isFusion = name == "fusion" && options.adapters == nil
    return try MethodFigures(
      planned(name, options), options: isFusion ? "--fuse a=PATH,b=PATH" : arguments, on: base)
  }

  /// A method before the adapters that it fuses are there: as many adapters of the kind that the options ask for.
  /// - Parameters:
  ///   - name: The method.
  ///   - options: Its options.
  ///   - fused: How many adapters a fusion mixes.
  /// - Returns: The method.
  /// - Throws: `Failure` when there is no such method, or its options make no sense.
  package static func planned(
    _ name: String, _ options: FineTuningOptions, fused: Int = 2
  ) throws -> any FineTuningMethod {
    guard name == "fusion", options.adapters == nil else { return try method(named: name, options) }
    var planned = options
    let adapter = try options.adapter()
    let names = (0..<fused).map { "adapter\($0)" }
    planned.adapters = try AdapterSetup(Dictionary(uniqueKeysWithValues: names.map { ($0, adapter) }), .fuse(names))
    return try method(named: name, planned)
  }
}
