internal import BERT
internal import Failures
internal import FineTuning
internal import Interchange

extension Translation {
  /// LoRA of PEFT: its tensors have the names here that PEFT gives them, less `base_model.model.`.
  /// - Throws: `Failure(.badContent)` when our LoRA has no form for it.
  init(peft folder: PEFTFolder) throws {
    let configuration = folder.configuration
    let updates = try folder.updates()
    let embeddings = "bert.embeddings."
    if let module = updates.map(\.module).first(where: {
      $0.hasPrefix(embeddings) && $0 != embeddings + "word_embeddings"
    }) {
      throw Failure(
        .badContent,
        "\(folder.path) has an update of \(module); of the embeddings, only word_embeddings can have one here.")
    }
    let rankRoot = Double(configuration.rank).squareRoot()
    var options = FineTuningOptions()
    options.loraVariant =
      configuration.usesDoRA ? .dora : configuration.usesRankStabilization ? .rslora : .standard
    options.loraRank = configuration.rank
    // DoRA's scale is α / r here, also where PEFT divides by √r.
    options.loraAlpha =
      configuration.usesDoRA && configuration.usesRankStabilization
      ? configuration.alpha * rankRoot : configuration.alpha
    options.loraDropout = Float(configuration.dropout)
    options.loraTargets = updates.map(\.module)
    options.loraBias =
      switch configuration.biases {
      case .none: .none
      case .loraOnly: folder.lacksBiases ? .none : .loraOnly
      case .all: .all
      }
    for (module, rank, scaling) in updates {
      if rank != configuration.rank { options.loraRanks[module] = rank }
      let divisor = options.loraVariant == .rslora ? Double(rank).squareRoot() : Double(rank)
      let alpha = scaling * divisor
      if let usual = options.loraAlpha, abs(alpha - usual) > 1e-12 * abs(usual) {
        options.loraAlphas[module] = alpha
      }
    }
    let all = folder.tensors.entries.map { ForeignTensor($0, in: folder.tensors) }
    var head: ForeignHead?
    if let count = folder.labelCount {
      try requireClasses(count, folder.path)
      head = ForeignHead(
        design: .pooled, labels: (0..<count).map { "LABEL_\($0)" },
        tensors: all.filter { HeadDesign.owns($0.name) })
    }
    let notices =
      folder.lacksBiases
      ? [
        "\(folder.path): the biases that were trained are not in the folder (PEFT has not saved them); the base's are used"
      ] : []
    self.init(
      method: "lora", options: options, tensors: all.filter { !HeadDesign.owns($0.name) }, head: head, notices: notices,
      baseName: configuration.baseModel, check: folder.check)
  }
}
