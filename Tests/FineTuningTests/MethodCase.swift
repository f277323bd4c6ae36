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

  /// Options that differ from one another in what they add and train.
  private static let options: [FineTuningOptions] = {
    var list = [FineTuningOptions()]
    var small = FineTuningOptions()
    (small.loraRank, small.loraAlpha, small.loraDropout) = (3, 1.5, 0.3)
    (small.loraTargets, small.loraBias) = (["dense", "key"], .loraOnly)
    list.append(small)
    (small.loraTargets, small.loraBias, small.loraDropout) = (["all-linear"], .all, 0)
    list.append(small)
    return list
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

  /// A tiny model fine-tuned this way, dropout on.
  func model(layers: Int = 2) throws -> TinyModel {
    let configuration = TinyModel.configuration(layers: layers)
    return TinyModel(configuration, table: try method.table(for: configuration)) { method.model($0, $1) }
  }

  /// A tiny model whose added parameters are no longer what they start as.
  func variedModel(layers: Int = 2) throws -> TinyModel {
    let model = try model(layers: layers)
    for entry in try method.addedParameters(model.configuration) { model.vary(entry.name) }
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
    case "lora":
      guard let lora = method as? LoRA else { return nil }
      let r = lora.loraRank
      let square = r * 2 * h
      let wide = r * (h + i)
      var (weights, biases) = (0, 0)
      if lora.targets == ["query", "value"] { (weights, biases) = (layers * 2 * square, layers * 2 * h) }
      if lora.targets == ["dense", "key"] {
        (weights, biases) = (layers * (2 * square + 2 * wide) + square, layers * (3 * h + i) + h)
      }
      if lora.targets == ["all-linear"] {
        (weights, biases) = (layers * (4 * square + 2 * wide) + square, layers * (5 * h + i) + h)
      }
      switch lora.bias {
      case .none: biases = 0
      case .loraOnly: break
      case .all: biases = h + layers * layerBiases + h
      }
      return weights + biases + head
    default: return nil
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
