package import BERT
internal import Failures
package import Tensors

extension LoRA {
  static let wordEmbeddings = "bert.embeddings.word_embeddings"

  /// A and B of every target, and a magnitude for each output in DoRA.
  ///
  /// A starts uniform within 1/√in (Kaiming with a = √5) and B at zero; at an embedding it is A that starts at zero.
  package func addedParameters(_ configuration: BERTConfiguration) throws -> [ParameterSpecification] {
    let modules = configuration.parameters { _ in false }.compactMap { parameter -> (name: String, shape: [Int])? in
      guard parameter.shape.count == 2, let name = PublishedName.module(ofWeight: parameter.name),
        !name.hasPrefix("bert.embeddings.") || name == LoRA.wordEmbeddings
      else { return nil }
      return (name, parameter.shape)
    }
    try refuseUnknownTargets(modules.map(\.name))
    if let layer = layers?.max(), layer >= configuration.layerCount {
      throw Failure(
        .usage,
        "--lora-layers names layer \(layer), but the base has \(configuration.layerCount) layers, counted from 0.")
    }
    return modules.filter { isTarget($0.name) }.flatMap { module in
      module.name == LoRA.wordEmbeddings
        ? embeddingParameters(module.shape) : linearParameters(module.name, module.shape)
    }
  }

  private func linearParameters(_ name: String, _ shape: [Int]) -> [ParameterSpecification] {
    let (out, input, rank) = (shape[0], shape[1], rank(of: name))
    var list = [
      ParameterSpecification(
        name + ".lora_A.weight", [rank, input], .uniform(bound: 1 / Float(input).squareRoot()), isTrainable: true),
      ParameterSpecification(
        name + ".lora_B.weight", [out, rank], .constant(0), isTrainable: true, learningRateScale: plusRatio),
    ]
    if variant.hasMagnitude {
      list.append(ParameterSpecification(name + ".lora_magnitude_vector", [out], .constant(1), isTrainable: true))
    }
    return list
  }

  private func embeddingParameters(_ shape: [Int]) -> [ParameterSpecification] {
    let (ids, width, rank) = (shape[0], shape[1], rank(of: LoRA.wordEmbeddings))
    return [
      ParameterSpecification(
        LoRA.wordEmbeddings + ".lora_embedding_A", [rank, ids], .constant(0), isTrainable: true),
      ParameterSpecification(
        LoRA.wordEmbeddings + ".lora_embedding_B", [width, rank], .normal(deviation: 1), isTrainable: true,
        learningRateScale: plusRatio),
    ]
  }

  private func refuseUnknownTargets(_ modules: [String]) throws {
    for target in targets where target != "all-linear" {
      if !modules.contains(where: { !LoRA.isHead($0) && LoRA.isNamed($0, target) }) {
        throw Failure(
          .usage,
          "--lora-targets names \"\(target)\", which no module of the base is called; expected names such as query, key, value, dense, word_embeddings or all-linear."
        )
      }
    }
    if variant.hasMagnitude, isTarget(LoRA.wordEmbeddings) {
      throw Failure(
        .usage,
        "--lora-targets names word_embeddings, which --lora-variant \(variant.rawValue) has no form for; leave it out, or take standard or rslora."
      )
    }
    if !modules.contains(where: isTarget) {
      throw Failure(
        .usage,
        "--lora-layers leaves none of --lora-targets \(targets.joined(separator: ",")); name modules of those layers.")
    }
  }

  /// DoRA's magnitudes start as the lengths of the rows that they scale, so that training starts from the base.
  package func completeInitialization(of names: Set<String>, in store: ParameterStore) {
    guard variant.hasMagnitude else { return }
    for entry in store.table.entries where names.contains(entry.specification.name) {
      let suffix = ".lora_magnitude_vector"
      guard entry.specification.name.hasSuffix(suffix) else { continue }
      let name = String(entry.specification.name.dropLast(suffix.count))
      let rows = UpdatedRows(
        parameters: store, weight: store.table[name + ".weight"], a: store[name + ".lora_A.weight"],
        b: store[name + ".lora_B.weight"], scale: variant == .dora ? Float(scale(of: name)) : 1)
      rows.norms(into: store[entry.parameter].base)
    }
  }

  /// `W + s B A`; in DoRA its rows are scaled to their magnitudes, in AdapterHub's DoRA the bias too.
  package func fold(into base: BaseWeight, _ added: ParameterStore) {
    guard isTarget(base.name) else { return }
    if base.name == LoRA.wordEmbeddings { return foldEmbedding(base.weight, added) }
    let (a, b) = (added[base.name + ".lora_A.weight"], added[base.name + ".lora_B.weight"])
    let scale = scale(of: base.name)
    var (row, direction) = ([Double](repeating: 0, count: base.weight.columns), [Double]())
    for r in 0..<base.weight.rows {
      let weight = base.weight.row(r)
      for c in row.indices { row[c] = Double(weight[c]) }
      direction = row
      for k in 0..<b.columns {
        let (factor, right) = (Double(b.row(r)[k]), a.row(k))
        for c in row.indices {
          let product = factor * Double(right[c])
          row[c] += scale * product
          direction[c] += product
        }
      }
      var stretch = 1.0
      if variant.hasMagnitude {
        let rows = variant == .dora ? row : direction
        let norm = rows.reduce(0) { $0 + $1 * $1 }.squareRoot()
        // A row of zeros has no direction; it stays one.
        stretch = norm > 0 ? Double(added[base.name + ".lora_magnitude_vector"].base[r]) / norm : 0
      }
      for c in row.indices { weight[c] = Float(stretch * row[c]) }
      if variant == .adapterHubDora, let bias = base.bias {
        bias.base[r] = Float(stretch * Double(bias.base[r]))
      }
    }
  }

  private func foldEmbedding(_ table: Matrix, _ added: ParameterStore) {
    let a = added[LoRA.wordEmbeddings + ".lora_embedding_A"]
    let b = added[LoRA.wordEmbeddings + ".lora_embedding_B"]
    let scale = scale(of: LoRA.wordEmbeddings)
    for id in 0..<table.rows {
      for h in 0..<table.columns {
        var sum = 0.0
        for k in 0..<a.rows { sum += Double(a.row(k)[id]) * Double(b.row(h)[k]) }
        table.row(id)[h] = Float(Double(table.row(id)[h]) + scale * sum)
      }
    }
  }
}
