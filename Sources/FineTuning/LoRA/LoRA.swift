package import BERT
internal import Failures
package import Tensors

/// Low-rank adaptation: `y = W x + b + s · B(A(dropout(x)))` at the projections named, and the classifier.
///
/// The base and the pooler stay frozen, as in PEFT. B starts at zero, so training starts from the base.
/// - SeeAlso: Hu et al.: *LoRA*, 2021, §4.1.
package struct LoRA: FineTuningMethod {
  /// The inner dimension r.
  package let loraRank: Int
  /// α: the update is multiplied by α / r.
  package let alpha: Double
  /// Dropout on the branch's input.
  package let dropout: Float
  /// Published module names, matched as PEFT does: the whole name, or its end after a dot; `all-linear` is every
  /// linear map but the classifier.
  package let targets: [String]
  /// Which biases are trained.
  package let bias: Bias

  /// Which biases LoRA trains beside its matrices, as PEFT names the choices.
  package enum Bias: String, Sendable, CaseIterable {
    /// None of them.
    case none
    /// Those of the targets.
    case loraOnly = "lora_only"
    /// All of them.
    case all
  }

  /// A configuration.
  /// - Throws: `Failure` when a number makes no sense.
  package init(
    loraRank: Int, alpha: Double? = nil, dropout: Float = 0.1, targets: [String] = ["query", "value"],
    bias: Bias = .none
  ) throws {
    guard (1...65_536).contains(loraRank) else {
      throw Failure(.usage, "--lora-rank is \(loraRank), expected a whole number from 1 to 65,536.")
    }
    let alpha = alpha ?? Double(2 * loraRank)
    guard alpha > 0, Float(alpha).isFinite, Float(alpha / Double(loraRank)) > 0 else {
      throw Failure(.usage, "--lora-alpha is \(alpha), expected a number above 0 and below 1e38.")
    }
    guard (0..<1).contains(dropout) else {
      throw Failure(.usage, "--lora-dropout is \(dropout), expected a probability from 0 to below 1.")
    }
    guard !targets.isEmpty else {
      throw Failure(.usage, "--lora-targets is empty, expected module names such as query,value.")
    }
    self.loraRank = loraRank
    self.alpha = alpha
    self.dropout = dropout
    self.targets = targets
    self.bias = bias
  }

  /// What `--method` calls it.
  package var name: String { "lora" }
  /// At full fine-tuning's 2e-5 a low-rank update hardly moves.
  package var defaultLearningRate: Double { 1e-3 }
  /// Its options.
  package var settings: [String: String] {
    [
      "lora_rank": "\(loraRank)", "lora_alpha": "\(alpha)", "lora_dropout": "\(dropout)",
      "lora_targets": targets.joined(separator: ","), "lora_bias": bias.rawValue,
    ]
  }
  /// s = α / r.
  package var scale: Double { alpha / Double(loraRank) }

  /// The classifier, and biases where they are asked for.
  package func trains(_ name: String) -> Bool {
    if name.hasPrefix("classifier.") { return true }
    guard name.hasSuffix(".bias") else { return false }
    return bias == .all || bias == .loraOnly && targets(String(name.dropLast(".bias".count)))
  }

  /// Whether a projection gets an update.
  package func targets(_ projection: String) -> Bool {
    projection != "classifier"
      && targets.contains {
        $0 == "all-linear" ? projection.hasPrefix("bert.") : projection == $0 || projection.hasSuffix("." + $0)
      }
  }

  /// A and B of every target: A uniform within 1/√in (Kaiming with a = √5), B zero.
  package func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification] {
    let weights = configuration.parameters { _ in false }.filter { $0.shape.count == 2 }
    let projections = weights.filter { $0.name.hasSuffix(".weight") && !$0.name.contains("embeddings") }
    for target in targets where target != "all-linear" {
      let single = projections.contains {
        let name = String($0.name.dropLast(".weight".count))
        return name != "classifier" && (name == target || name.hasSuffix("." + target))
      }
      if !single {
        throw Failure(
          .usage,
          "--lora-targets names \"\(target)\", which no linear map of the base is called; expected names such as query, key, value, dense or all-linear."
        )
      }
    }
    return projections.flatMap { weight -> [ParameterSpecification] in
      let name = String(weight.name.dropLast(".weight".count))
      guard targets(name) else { return [] }
      let (out, input) = (weight.shape[0], weight.shape[1])
      return [
        ParameterSpecification(
          name + ".lora_A.weight", [loraRank, input], .uniform(bound: 1 / Float(input).squareRoot()),
          isTrainable: true),
        ParameterSpecification(name + ".lora_B.weight", [out, loraRank], .constant(0), isTrainable: true),
      ]
    }
  }

  /// A low-rank update at every target.
  package func attach(to model: SequenceClassifier, _ table: ParameterTable) {
    for projection in model.projections where targets(projection.name) {
      projection.branch = LowRankUpdate(
        a: table[projection.name + ".lora_A.weight"], b: table[projection.name + ".lora_B.weight"],
        scale: Float(scale), dropout: dropout, site: projection.branchSite)
    }
  }

  /// s · B A.
  package func weightUpdate(of projection: String, in parameters: ParameterStore) -> WeightUpdate? {
    guard targets(projection) else { return nil }
    return WeightUpdate(
      left: parameters[projection + ".lora_B.weight"], right: parameters[projection + ".lora_A.weight"],
      scale: scale)
  }
}
