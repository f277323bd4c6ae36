import BERT
import FineTuning
import Kernels
import Tensors
import TestSupport

/// A registered method with options. Every method that is registered has at least one case, so a new one is covered
/// by its registration, and by a line in `MethodCase.trainableCount`.
struct MethodCase: Sendable, CustomStringConvertible {
  let method: any FineTuningMethod
  var description: String {
    method.name + method.settings.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
  }

  /// Options that differ from one another in what they add and train. Non-linearities are smooth, so that central
  /// differences mean something, and sizes are small.
  private static let options: [FineTuningOptions] = {
    func make(_ change: (inout FineTuningOptions) -> Void) -> FineTuningOptions {
      var options = FineTuningOptions()
      options.adapterActivation = "gelu"
      (options.prefixLength, options.prefixBottleneck) = (5, 7)
      change(&options)
      return options
    }
    return [
      make { _ in },
      make {
        ($0.loraRank, $0.loraAlpha, $0.loraDropout) = (3, 1.5, 0.3)
        ($0.loraTargets, $0.loraBias) = (["dense", "key"], .loraOnly)
        ($0.adapterConfiguration, $0.adapterReductionFactor) = ("houlsby", AdapterConfiguration.Reduction(5))
        ($0.prefixLength, $0.prefixBottleneck) = (1, 12)
      },
      make {
        ($0.loraRank, $0.loraAlpha, $0.loraDropout) = (3, 1.5, 0)
        ($0.loraTargets, $0.loraBias, $0.loraVariant) = (["all-linear"], .all, .adapterHubDora)
        ($0.adapterConfiguration, $0.adapterReductionFactor) = ("scaled_parallel", AdapterConfiguration.Reduction(0.5))
      },
      make {
        ($0.loraRank, $0.loraTargets, $0.loraVariant) = (2, ["dense", "key"], .dora)
        ($0.adapterConfiguration, $0.adapterLeaveOut) = ("pfeiffer+inv", [0])
      },
      make {
        ($0.loraRank, $0.loraAlpha, $0.loraTargets, $0.loraVariant) = (4, 1, ["all-linear"], .rslora)
        ($0.adapterConfiguration, $0.adapterReductionFactor) = ("parallel", AdapterConfiguration.Reduction(3))
      },
    ] + AdapterSetups.all.map { setup in make { ($0.adapters, $0.trainedAdapters) = (setup.setup, setup.trained) } }
  }()

  /// Every method under every choice of options that it takes notice of.
  static let all: [MethodCase] = FineTuningMethods.names.flatMap { name in
    var seen: Set<String> = []
    return options.compactMap { options -> MethodCase? in
      guard let method = try? FineTuningMethods.method(named: name, options) else { return nil }
      let found = MethodCase(method: method)
      return seen.insert(found.description).inserted ? found : nil
    }
  }

  /// Whether backward is the derivative of forward: PEFT's DoRA takes the lengths of rows as constants on purpose, and
  /// has a test of its own.
  var isDifferentiated: Bool { (method as? LoRA)?.variant != .dora }

  /// A tiny model fine-tuned this way, dropout on.
  func model(layers: Int = 2) throws -> TinyModel {
    let configuration = TinyModel.configuration(layers: layers)
    let model = TinyModel(configuration, table: try method.table(for: configuration)) { method.model($0, $1) }
    method.completeInitialization(of: Set(model.table.entries.map(\.specification.name)), in: model.store)
    return model
  }

  /// A tiny model whose added parameters are no longer what they start as.
  func variedModel(layers: Int = 2) throws -> TinyModel {
    let model = try model(layers: layers)
    for entry in try method.addedParameters(model.configuration) {
      // The product of query and key is steep enough with less.
      model.vary(entry.name, within: entry.name.contains(".adapter_fusion_layer.") ? 0.15 : 0.3)
    }
    return model
  }

  /// How many numbers a method trains, by a formula of its own for each: sizes and counts, no names.
  static func trainableCount(_ method: any FineTuningMethod, _ c: BERTConfiguration) -> Int? {
    let (h, i, layers, labels) = (c.hiddenSize, c.intermediateSize, c.layerCount, c.labelCount)
    let head = labels * h + labels
    let layerBiases = 7 * h + i
    switch method.name {
    case "full":
      let embeddings = (c.vocabularySize + c.positionCount + c.typeCount) * h + 2 * h
      let layer = 4 * (h * h + h) + 2 * h + (h * i + i) + (i * h + h) + 2 * h
      return embeddings + layers * layer + h * h + h + head
    case "linear-probe": return head
    case "bitfit": return h + layers * layerBiases + h + head
    case "lora": return (method as? LoRA).flatMap { loraCount($0, c) }.map { head + $0 }
    case "ia3": return layers * (2 * h + i) + head
    case "prefix-tuning":
      guard let prefix = method as? PrefixTuning else { return nil }
      let (length, width) = (prefix.length, prefix.bottleneckSize)
      return length * h + (width * h + width) + 2 * layers * (h * width + h) + head
    case "adapter":
      return (method as? BottleneckAdapters).map { head + adapterCount($0.setup, $0.trained, c) }
    case "fusion":
      return (method as? AdapterFusion).map {
        head + adapterCount($0.setup, $0.trained, c) + fusionCount($0.setup, c)
      }
    default: return nil
    }
  }

  /// A and B of every target, a magnitude for each output in DoRA, and biases.
  private static func loraCount(_ lora: LoRA, _ c: BERTConfiguration) -> Int? {
    let (h, i, layers) = (c.hiddenSize, c.intermediateSize, c.layerCount)
    let (square, wide) = (lora.loraRank * 2 * h, lora.loraRank * (h + i))
    let (weights, outputs): (Int, Int)
    switch lora.targets {
    case ["query", "value"]: (weights, outputs) = (layers * 2 * square, layers * 2 * h)
    case ["dense", "key"]:
      (weights, outputs) = (layers * (2 * square + 2 * wide) + square, layers * (3 * h + i) + h)
    case ["all-linear"]:
      (weights, outputs) = (layers * (4 * square + 2 * wide) + square, layers * (5 * h + i) + h)
    default: return nil
    }
    let biases =
      switch lora.bias {
      case .none: 0
      case .loraOnly: outputs
      case .all: h + layers * (7 * h + i) + h
      }
    return weights + (lora.variant.hasMagnitude ? outputs : 0) + biases
  }

  /// The trained adapters; of invertible blocks only that of the first adapter is in use.
  private static func adapterCount(_ setup: AdapterSetup, _ trained: Set<String>, _ c: BERTConfiguration) -> Int {
    trained.reduce(0) { total, name in
      guard let adapter = setup.configurations[name] else { return total }
      return total + coreCount(adapter, c) + (name == setup.composition.names[0] ? invertibleCount(adapter, c) : 0)
    }
  }

  /// How many block ends an adapter sits at.
  private static func placeCount(_ adapter: AdapterConfiguration, _ c: BERTConfiguration) -> Int {
    (c.layerCount - adapter.leaveOut.count) * ((adapter.afterAttention ? 1 : 0) + (adapter.afterFeedForward ? 1 : 0))
  }

  /// Down and up at every place, and a learned scale.
  private static func coreCount(_ adapter: AdapterConfiguration, _ c: BERTConfiguration) -> Int {
    let h = c.hiddenSize
    let width = max(1, Int(Double(h) / (adapter.reduction.standard ?? 1)))
    return placeCount(adapter, c) * (width * h + width + h * width + h + (adapter.scaling == .learned ? 1 : 0))
  }

  /// Two networks over half of the embeddings each.
  private static func invertibleCount(_ adapter: AdapterConfiguration, _ c: BERTConfiguration) -> Int {
    guard let reduction = adapter.invertibleReduction else { return 0 }
    let half = c.hiddenSize / 2
    let inner = Int(Double(half) / reduction)
    return 2 * (inner * half + inner + half * inner + half)
  }

  /// Query, key and, unless it is static, value of every fusion, at every place of what it fuses.
  private static func fusionCount(_ setup: AdapterSetup, _ c: BERTConfiguration) -> Int {
    let h = c.hiddenSize
    return setup.composition.fusions.reduce(0) { total, names in
      guard let adapter = setup.configurations[names[0]] else { return total }
      return total + placeCount(adapter, c) * (2 * (h * h + h) + (setup.fusion.hasValue ? h * h : 0))
    }
  }
}

extension TinyModel {
  /// The reviews that methods learn from.
  static let reviews = TinyReview.reviews(lengths: [6, 1, 9, 4], labelCount: 3)

  /// Some AdamW steps on the same reviews, each with dropout of its own; returns the mean losses.
  @discardableResult
  func train(_ steps: Int, learningRate: Float = 1e-2, weightDecay: Float = 0.01) -> [Double] {
    let count = table.trainableCount
    let moments = UnsafeMutablePointer<Float>.allocate(capacity: 2 * count)
    moments.initialize(repeating: 0, count: 2 * count)
    defer { moments.deallocate() }
    var losses: [Double] = []
    for step in 1...steps {
      workspace.step = UInt32(step)
      losses.append(addGradients(Self.reviews).reduce(0, +) / Double(Self.reviews.count))
      let constants = AdamWStep(
        beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: step, gradientScale: 1 / Double(Self.reviews.count))
      for group in table.groups {
        let start = group.range.lowerBound
        adamWUpdate(
          values: store.trainable + start, gradients: gradients + start, firstMoments: moments + start,
          secondMoments: moments + count + start, count: group.range.count,
          learningRate: learningRate * group.learningRateScale,
          weightDecay: group.decays ? weightDecay : 0, step: constants)
      }
    }
    return losses
  }

  /// Gives the parameters of this model that another one has too that one's numbers.
  func copyParameters(from other: TinyModel) {
    for entry in table.entries {
      let name = entry.specification.name
      if other.table.entry(name) != nil { store[name].copy(from: other.store[name]) }
    }
  }
}
