internal import Kernels
package import Tensors

/// BERT with the heads of its pre-training: hidden tokens, and with `nextSentence` whether the second segment follows
/// the first one.
///
/// A batch reads the hidden tokens, whose labels are what stood there; with `nextSentence` also each review's `[CLS]`,
/// which is never hidden, with 0 for "follows" and 1 for "does not".
package final class MaskedLanguageModel: TaskModel {
  /// The model's shape.
  package let configuration: BERTConfiguration
  /// The encoder.
  package let encoder: BERTModel
  /// The head that names hidden tokens.
  package let head: MaskedLanguageHead
  private let sentenceHead: ClassificationHead?
  /// Whether an invertible block over the embeddings is undone before the decoder.
  private let inverts: Bool
  // Reads by what is read there, kept from pass to pass.
  private var tokens = Part()
  private var sentences = Part()

  /// The reads of one kind: which rows of the reads they are, and their labels.
  private struct Part {
    var rows: [Int32] = []
    var labels: [Int32] = []

    /// A pass has seldom more, so a step like an earlier one allocates nothing.
    init() {
      rows.reserveCapacity(1024)
      labels.reserveCapacity(1024)
    }

    mutating func removeAll() {
      rows.removeAll(keepingCapacity: true)
      labels.removeAll(keepingCapacity: true)
    }

    mutating func append(_ row: Int, _ label: Int32) {
      rows.append(Int32(row))
      labels.append(label)
    }
  }

  /// A model over a table that has all of `configuration.parameters`.
  /// - Parameters:
  ///   - configuration: The shape, whose task is masked-language modelling.
  ///   - table: The parameters.
  ///   - inverts: Whether an invertible block over the embeddings is undone before the decoder, as in MAD-X.
  package init(_ configuration: BERTConfiguration, _ table: ParameterTable, inverts: Bool = true) {
    self.configuration = configuration
    self.inverts = inverts
    encoder = BERTModel(configuration, table)
    head = MaskedLanguageHead(configuration, table)
    var pair = configuration
    (pair.head, pair.labelCount, pair.classifierDropout) = (.nextSentence, 2, 0)
    sentenceHead =
      configuration.task == .maskedLanguage(nextSentence: true) ? ClassificationHead(pair, table) : nil
    encoder.settleTrainableLayers()
  }

  /// Every linear map that a fine-tuning method can name, the encoder's first.
  package var projections: [Projection] {
    encoder.layers.flatMap(\.projections) + [head.dense]
      + (sentenceHead.map { [$0.pooler, $0.classifier] } ?? [])
  }

  /// To be called when branches have been attached.
  package func branchesWereAttached() {
    encoder.settleTrainableLayers()
    head.inverse = inverts ? encoder.embeddings.branch?.inverted() : nil
  }

  /// What the heads take beside the layers.
  package func headBytes(reads: Int) -> Int {
    head.bytes(rows: reads) + 4 * 12 * configuration.hiddenSize * reads
  }

  /// One pass forward and backward; a sentence pair's loss comes already multiplied by its weight.
  package func addGradients(
    _ batch: BatchViews, labels: UnsafePointer<Int32>, losses: UnsafeMutablePointer<Double>,
    _ workspace: Workspace
  ) {
    let h = encoder.forward(batch, workspace)
    split(batch.reads, labels)
    let dh = encoder.needsGradient ? workspace.arena.matrix(h.rows, h.columns) : nil
    dh?.fill(0)
    addTokens(h, dh, batch.reads, losses, workspace)
    addSentences(h, dh, batch.reads, losses, workspace)
    workspace.completed?(BackwardStages.head)
    if let dh { encoder.backward(dh, batch, workspace) }
  }

  private func split(_ reads: Rows, _ labels: UnsafePointer<Int32>) {
    tokens.removeAll()
    sentences.removeAll()
    for row in 0..<reads.count {
      if sentenceHead != nil, reads.positions[row] == 0 {
        sentences.append(row, labels[row])
      } else {
        tokens.append(row, labels[row])
      }
    }
  }

  private func addTokens(
    _ h: Matrix, _ dh: Matrix?, _ reads: Rows, _ losses: UnsafeMutablePointer<Double>, _ workspace: Workspace
  ) {
    let count = tokens.rows.count
    guard count > 0 else { return }
    withRows(tokens.rows, of: h, reads, workspace) { input, rows, indices in
      let dInput = dh.map { workspace.arena.matrix(count, $0.columns) }
      let own = workspace.arena.allocate(Double.self, count)
      head.addGradients(input, labels: tokens.labels, losses: own, dh: dInput, rows, workspace)
      for row in 0..<count { losses[Int(indices[row])] = own[row] }
      if let dh, let dInput { scatterAddRows(dInput, indices, to: dh) }
    }
  }

  private func addSentences(
    _ h: Matrix, _ dh: Matrix?, _ reads: Rows, _ losses: UnsafeMutablePointer<Double>, _ workspace: Workspace
  ) {
    guard let sentenceHead, !sentences.rows.isEmpty else { return }
    withRows(sentences.rows, of: h, reads, workspace) { input, rows, indices in
      let logits = sentenceHead.forward(input, rows, workspace)
      for r in 0..<logits.rows {
        let loss = crossEntropy(
          logits.row(r), count: logits.columns, label: Int(sentences.labels[r]), gradient: logits.row(r))
        losses[Int(indices[r])] = loss * Double(workspace.sentenceWeight)
      }
      scale(logits, by: workspace.sentenceWeight)
      let dInput = dh.map { workspace.arena.matrix(input.rows, $0.columns) }
      sentenceHead.backward(logits, dh: dInput, rows, workspace)
      if let dh, let dInput { scatterAddRows(dInput, indices, to: dh) }
    }
  }

  /// Calls `body` with some of the reads as a matrix of their own.
  private func withRows(
    _ indices: [Int32], of h: Matrix, _ reads: Rows, _ workspace: Workspace,
    _ body: (Matrix, Rows, UnsafePointer<Int32>) -> Void
  ) {
    indices.withUnsafeBufferPointer { indices in
      guard let start = indices.baseAddress else { return }
      let input = workspace.arena.matrix(indices.count, h.columns)
      gatherRows(h, start, into: input)
      // The heads' maps ask how many rows there are and nothing else.
      let rows = Rows(
        count: indices.count, reviewCount: reads.reviewCount, offsets: reads.offsets, positions: reads.positions,
        reviews: reads.reviews)
      body(input, rows, start)
    }
  }

  /// What an evaluation says of a review, each in three columns: the sum of losses, how many are right, how many there are.
  package enum Counted: Int, CaseIterable {
    /// Its hidden tokens.
    case tokens
    /// Its sentence pair.
    case pairs

    /// The column of the sum of losses.
    package var lossColumn: Int { 3 * rawValue }
    /// The column of how many are right.
    package var rightColumn: Int { 3 * rawValue + 1 }
    /// The column of how many there are.
    package var countColumn: Int { 3 * rawValue + 2 }
    /// The columns of all.
    package static let columnCount = 3 * allCases.count
  }

  /// The columns of `Counted`.
  package var outputCount: Int { Counted.columnCount }

  /// Writes sums and counts.
  package func evaluate(
    _ batch: BatchViews, labels: UnsafePointer<Int32>, into output: (Int) -> UnsafeMutablePointer<Float>,
    _ workspace: Workspace
  ) {
    let h = encoder.forward(batch, workspace)
    split(batch.reads, labels)
    let columns = Counted.columnCount
    var sums = [Double](repeating: 0, count: columns * batch.reads.reviewCount)
    var reviews = [Int](repeating: 0, count: batch.reads.count)
    for review in 0..<batch.reads.reviewCount {
      for row in batch.reads.range(review) { reviews[row] = review }
    }
    func add(_ row: Int32, _ loss: Double, _ isRight: Bool, to counted: Counted) {
      let first = columns * reviews[Int(row)]
      sums[first + counted.lossColumn] += loss
      sums[first + counted.rightColumn] += isRight ? 1 : 0
      sums[first + counted.countColumn] += 1
    }
    if !tokens.rows.isEmpty {
      withRows(tokens.rows, of: h, batch.reads, workspace) { input, rows, _ in
        head.evaluate(input, labels: tokens.labels, rows, workspace) {
          add(tokens.rows[$0], $1, $2, to: .tokens)
        }
      }
    }
    if let sentenceHead, !sentences.rows.isEmpty {
      withRows(sentences.rows, of: h, batch.reads, workspace) { input, rows, _ in
        let logits = sentenceHead.forward(input, rows, workspace)
        for r in 0..<logits.rows {
          let (values, label) = (logits.row(r), Int(sentences.labels[r]))
          let loss = crossEntropy(values, count: 2, label: label, gradient: nil)
          add(sentences.rows[r], loss, values[label] >= values[1 - label], to: .pairs)
        }
      }
    }
    for review in 0..<batch.reads.reviewCount {
      let target = output(review)
      for column in 0..<columns { target[column] = Float(sums[columns * review + column]) }
    }
  }

  /// The logits of hidden tokens, `[tokens, V]`, and of sentence pairs, `[pairs, 2]`.
  package func logits(_ batch: BatchViews, _ workspace: Workspace) -> (tokens: Matrix, sentences: Matrix?) {
    let h = encoder.forward(batch, workspace)
    let labels = [Int32](repeating: 0, count: batch.reads.count)
    split(batch.reads, labels)
    var found: (tokens: Matrix, sentences: Matrix?) = (workspace.arena.matrix(0, configuration.vocabularySize), nil)
    if !tokens.rows.isEmpty {
      withRows(tokens.rows, of: h, batch.reads, workspace) { input, rows, _ in
        found.tokens = head.logits(input, rows, workspace)
      }
    }
    if let sentenceHead, !sentences.rows.isEmpty {
      withRows(sentences.rows, of: h, batch.reads, workspace) { input, rows, _ in
        found.sentences = sentenceHead.forward(input, rows, workspace)
      }
    }
    return found
  }
}
