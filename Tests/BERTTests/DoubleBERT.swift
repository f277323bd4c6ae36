import BERT
import Glibc
import Kernels
import Tensors
import TestSupport

/// BERT's forward pass in `Double` with plain loops: one review at a time, padded, with an additive attention mask,
/// as the published description has it. It shares nothing with the model but the numbers and the dropout masks.
struct DoubleBERT {
  let configuration: BERTConfiguration
  /// Seed and step of the dropout; nil outside training.
  let dropout: (seed: UInt32, step: UInt32)?
  private var tensors: [String: [[Double]]] = [:]

  /// The numbers of a model, with its dropout or without.
  init(_ model: TinyModel, drops: Bool) {
    configuration = model.configuration
    dropout = drops ? (model.workspace.seed, model.workspace.step) : nil
    for entry in model.table.entries {
      let view = model.store[entry.parameter]
      tensors[entry.specification.name] = (0..<view.rows).map { r in
        (0..<view.columns).map { Double(view.row(r)[$0]) }
      }
    }
  }

  private func matrix(_ name: String) -> [[Double]] { tensors[name] ?? [] }
  private func vector(_ name: String) -> [Double] { matrix(name)[0] }

  /// x Wᵀ + b.
  private func linear(_ x: [[Double]], _ name: String) -> [[Double]] {
    let (weight, bias) = (matrix(name + ".weight"), vector(name + ".bias"))
    return x.map { row in
      weight.indices.map { o in row.indices.reduce(bias[o]) { $0 + row[$1] * weight[o][$1] } }
    }
  }

  /// Layer normalisation with the biased variance, epsilon inside the root.
  private func normalize(_ x: [[Double]], _ name: String) -> [[Double]] {
    let (weight, bias) = (vector(name + ".LayerNorm.weight"), vector(name + ".LayerNorm.bias"))
    return x.map { row in
      let mean = row.reduce(0, +) / Double(row.count)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
      let deviation = (variance + Double(configuration.layerNormEpsilon)).squareRoot()
      return row.indices.map { (row[$0] - mean) / deviation * weight[$0] + bias[$0] }
    }
  }

  /// What each number of a row is multiplied by at a dropout site.
  private func factors(_ count: Int, _ probability: Float, site: UInt32, review: UInt32, row: Int) -> [Double] {
    guard let dropout,
      let site = Dropout(probability: probability, seed: dropout.seed, site: site, step: dropout.step)
    else { return [Double](repeating: 1, count: count) }
    var bytes = [UInt8](repeating: 0, count: Dropout.maskStride(count))
    site.writeMask(&bytes, columns: count, review: review, row: UInt32(row))
    return (0..<count).map { Double(bytes[$0]) * Double(site.scale) }
  }

  private func drop(_ x: [[Double]], _ probability: Float, site: UInt32, review: UInt32) -> [[Double]] {
    x.enumerated().map { position, row in
      let keep = factors(row.count, probability, site: site, review: review, row: position)
      return row.indices.map { row[$0] * keep[$0] }
    }
  }

  private func activate(_ x: Double) -> Double {
    switch configuration.activation {
    case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh: 0.5 * x * (1 + Glibc.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .relu: max(0, x)
    case .swish: x / (1 + exp(-x))
    case .tanh: Glibc.tanh(x)
    }
  }

  /// Self-attention of all heads, before the output projection.
  private func attention(_ x: [[Double]], layer: Int, length: Int, review: UInt32) -> [[Double]] {
    let name = "bert.encoder.layer.\(layer).attention.self."
    let (q, k, v) = (linear(x, name + "query"), linear(x, name + "key"), linear(x, name + "value"))
    let width = configuration.hiddenSize / configuration.attentionHeadCount
    var context = x
    for head in 0..<configuration.attentionHeadCount {
      let columns = head * width..<(head + 1) * width
      // One mask for a head's whole table of tokens × tokens, padding apart.
      let keep = factors(
        length * length, configuration.attentionDropout,
        site: DropoutSite.attentionProbabilities(layer: layer), review: review, row: head)
      for i in x.indices {
        let scores = x.indices.map { j in
          columns.reduce(0) { $0 + q[i][$1] * k[j][$1] } / Double(width).squareRoot()
            + (j < length ? 0 : -Double(Float.greatestFiniteMagnitude))
        }
        let largest = scores.max() ?? 0
        let total = scores.reduce(0) { $0 + exp($1 - largest) }
        for c in columns {
          context[i][c] = x.indices.reduce(0) { sum, j in
            let kept = i < length && j < length ? keep[i * length + j] : 1
            return sum + exp(scores[j] - largest) / total * kept * v[j][c]
          }
        }
      }
    }
    return context
  }

  private func add(_ x: [[Double]], _ y: [[Double]]) -> [[Double]] {
    zip(x, y).map { zip($0, $1).map { $0 + $1 } }
  }

  /// The last hidden states of a review, its padding's too.
  func hidden(_ review: TinyReview, paddedTo paddedLength: Int) -> [[Double]] {
    let c = configuration
    let length = review.tokens.count
    let (word, type) = (
      matrix("bert.embeddings.word_embeddings.weight"), "bert.embeddings.token_type_embeddings"
    )
    let (types, positions) = (matrix(type + ".weight"), matrix("bert.embeddings.position_embeddings.weight"))
    var x = (0..<paddedLength).map { position -> [Double] in
      let id = position < length ? Int(review.tokens[position]) : c.padTokenID
      let kind = position < length && position >= review.secondSegmentStart ? 1 : 0
      return (0..<c.hiddenSize).map { word[id][$0] + types[kind][$0] + positions[position][$0] }
    }
    x = drop(
      normalize(x, "bert.embeddings"), c.hiddenDropout, site: DropoutSite.embeddings, review: review.number)
    for layer in 0..<c.layerCount {
      let name = "bert.encoder.layer.\(layer)."
      let context = attention(x, layer: layer, length: length, review: review.number)
      let a = drop(
        linear(context, name + "attention.output.dense"), c.hiddenDropout,
        site: DropoutSite.attentionOutput(layer: layer), review: review.number)
      let x1 = normalize(add(a, x), name + "attention.output")
      let u = linear(x1, name + "intermediate.dense").map { $0.map(activate) }
      let f = drop(
        linear(u, name + "output.dense"), c.hiddenDropout, site: DropoutSite.feedForwardOutput(layer: layer),
        review: review.number)
      x = normalize(add(f, x1), name + "output")
    }
    return x
  }

  /// The logits of the head on the hidden states of a review's `[CLS]`.
  func logits(_ review: TinyReview, paddedTo paddedLength: Int) -> [Double] {
    let head = configuration.head
    var first = [hidden(review, paddedTo: paddedLength)[0]]
    if head.dropsInput {
      first = drop(first, configuration.pooledDropout, site: DropoutSite.headInput, review: review.number)
    }
    let pooled = linear(first, head.dense).map { $0.map { Glibc.tanh($0) } }
    let dropped = drop(
      pooled, configuration.pooledDropout, site: DropoutSite.pooled, review: review.number)
    return linear(dropped, head.classifier)[0]
  }
}
