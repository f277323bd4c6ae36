package import BERT
package import Tensors

/// A tiny model for masked-language modelling with numbers of its own, and a batch with hidden tokens.
package final class TinyMaskedModel {
  /// Its numbers.
  package let store: ParameterStore
  /// The model.
  package let model: MaskedLanguageModel
  /// What its passes work with.
  package let workspace: Workspace
  private let gradients: UnsafeMutablePointer<Float>
  private let batch = TokenBatch()
  private var labels: [Int32] = []
  private var losses: [Double] = []

  /// - Parameters:
  ///   - configuration: Its shape; the task is set to masked-language modelling.
  ///   - nextSentence: Whether it tells sentence pairs too.
  ///   - table: The parameters of the shape with its task.
  ///   - make: The model over the table.
  package init(
    _ configuration: BERTConfiguration, nextSentence: Bool = false,
    table: (BERTConfiguration) throws -> ParameterTable,
    make: (BERTConfiguration, ParameterTable) -> MaskedLanguageModel
  ) rethrows {
    var configuration = configuration
    configuration.task = .maskedLanguage(nextSentence: nextSentence)
    let table = try table(configuration)
    let blocks = [table.frozenCount, table.trainableCount, table.trainableCount].map { count in
      let block = UnsafeMutablePointer<Float>.allocate(capacity: max(1, count))
      block.initialize(repeating: 0, count: max(1, count))
      return block
    }
    store = ParameterStore(table: table, frozen: blocks[0], trainable: blocks[1])
    gradients = blocks[2]
    model = make(configuration, table)
    let arena = ActivationArena.reserved(model.arenaBytes(tokens: 256, reviews: 32, longest: 64))
    arena.poisons = true
    workspace = Workspace(parameters: store, gradients: gradients, arena: arena, seed: 5)
    workspace.step = 17
    for entry in table.entries {
      store.initialize(entry, seed: 5)
      var numbers = MadeUpNumbers(entry.specification.name.utf8.reduce(17) { ($0 &* 31 &+ Int($1)) & 0xFFFF_FFFF })
      let values = store.elements(entry.specification.name)
      for i in values.indices where entry.specification.shape.count == 1 { values[i] += numbers.number(in: -0.3...0.3) }
    }
    fill(nextSentence, configuration.vocabularySize)
  }

  deinit {
    store.frozen.deallocate()
    store.trainable.deallocate()
    gradients.deallocate()
  }

  /// Three reviews with two, three and one hidden tokens, and a pair each where that is learnt.
  private func fill(_ nextSentence: Bool, _ vocabularySize: Int) {
    for (index, review) in TinyReview.reviews(lengths: [6, 9, 4]).enumerated() {
      let hidden: [Int32] = [[1, 4], [2, 3, 7], [2]][index]
      let reads = (nextSentence ? [0] : []) + hidden
      review.tokens.withUnsafeBufferPointer { tokens in
        reads.withUnsafeBufferPointer { reads in
          batch.append(
            tokens: tokens, secondSegmentStart: review.secondSegmentStart, review: review.number, reads: reads)
        }
      }
      labels += (nextSentence ? [Int32(index % 2)] : []) + hidden.map { ($0 * 7 + 3) % Int32(vocabularySize) }
    }
    losses = [Double](repeating: .nan, count: labels.count)
  }

  /// The gradient of a trained parameter, of the sum of all losses.
  package func gradient(_ name: String) -> [Float] {
    let parameter = store.table[name]
    return (0..<parameter.count).map { gradients[parameter.offset + $0] }
  }

  /// The sum of all losses from a pass that also adds the gradients.
  @discardableResult
  package func addGradients() -> Double {
    workspace.isTraining = true
    workspace.arena.reset()
    batch.withViews { model.addGradients($0, labels: labels, losses: &losses, workspace) }
    return losses.reduce(0, +)
  }

  /// The sum of all losses; the gradients stay what they are.
  package func loss() -> Double {
    let before = (0..<store.table.trainableCount).map { gradients[$0] }
    defer { gradients.update(from: before, count: before.count) }
    return addGradients()
  }

  /// The same from an evaluation, without dropout.
  package func evaluationLoss() -> Double {
    workspace.isTraining = false
    workspace.arena.reset()
    let rows = UnsafeMutablePointer<Float>.allocate(capacity: batch.reviewCount * model.outputCount)
    defer { rows.deallocate() }
    let columns = model.outputCount
    batch.withViews { model.evaluate($0, labels: labels, into: { rows + $0 * columns }, workspace) }
    return (0..<batch.reviewCount).reduce(0) { sum, review in
      MaskedLanguageModel.Counted.allCases.reduce(sum) { $0 + Double(rows[review * columns + $1.lossColumn]) }
    }
  }
}
