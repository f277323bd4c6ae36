/// In which order a fusion multiplies; the function is the same up to rounding.
package enum FusionOrder: Sendable, CaseIterable {
  /// Each token's candidates are written out, and query, key and value multiply tokens (`PlainFusion`).
  case plain
  /// Query, key and value multiply the adapters' up-projections once a pass or a step, tokens only what comes of it
  /// (`FoldedFusion`).
  case folded
}

/// What the operations of a fusion depend on, and the choice of an order by them.
///
/// Products are counted, two operations a multiplication; what is done number by number is left out. With K = R + N + 1
/// the folded order's matrices are `[K, H]` (a row or N fewer here and there is not worth a case).
package struct FusionShape: Sendable, Equatable {
  /// H.
  package let hiddenSize: Int
  /// N.
  package let count: Int
  /// R, the bottleneck widths of all adapters together.
  package let width: Int
  /// The same of those that are trained.
  package let trainedWidth: Int
  /// Whether there is a value matrix.
  package let hasValue: Bool
  /// Whether query, key and value are trained.
  package let trainsFusion: Bool

  /// A shape.
  package init(
    hiddenSize: Int, count: Int, width: Int, trainedWidth: Int = 0, hasValue: Bool = true, trainsFusion: Bool = true
  ) {
    (self.hiddenSize, self.count, self.width, self.trainedWidth) = (hiddenSize, count, width, trainedWidth)
    (self.hasValue, self.trainsFusion) = (hasValue, trainsFusion)
  }

  /// K, how many rows the folded order's matrices have.
  package var foldedRows: Int { width + count + 1 }
  /// Query, key, and value where there is one.
  private var matrixCount: Int { hasValue ? 3 : 2 }

  /// What a pass takes, or where workers share a fold, a step of theirs.
  /// - Parameters:
  ///   - order: The order.
  ///   - rows: How many tokens.
  ///   - isTraining: Whether backward follows forward.
  /// - Returns: Operations, two a multiplication.
  package func operations(_ order: FusionOrder, rows: Int, isTraining: Bool) -> Int {
    switch order {
    case .plain: rows * plain(isTraining)
    case .folded: rows * foldedPerRow(isTraining) + foldedOnce(isTraining)
    }
  }

  /// The order with fewer operations; the plain one where there are fewer tokens than K, so that what a pass that
  /// folds keeps is never larger than a few activations.
  package func order(rows: Int, isTraining: Bool) -> FusionOrder {
    guard rows >= foldedRows else { return .plain }
    func operations(_ order: FusionOrder) -> Int { self.operations(order, rows: rows, isTraining: isTraining) }
    return operations(.folded) < operations(.plain) ? .folded : .plain
  }

  /// Forward each matrix and the up-projections. Backward the gradients of what they read, and those of what is trained.
  private func plain(_ isTraining: Bool) -> Int {
    let (square, up) = (2 * hiddenSize * hiddenSize, 2 * hiddenSize * width)
    let forward = matrixCount * square + up
    let backward = matrixCount * square * (trainsFusion ? 2 : 1) + up + 2 * hiddenSize * trainedWidth
    return forward + (isTraining ? backward : 0)
  }

  /// Forward r and the output. Backward those of the mixture and the query, and where anything is trained dS and dG.
  private func foldedPerRow(_ isTraining: Bool) -> Int {
    let pair = 4 * hiddenSize * foldedRows
    return pair * (isTraining ? (trainsFusion || trainedWidth > 0 ? 3 : 2) : 1)
  }

  /// Forward A, S and G. Backward dA, then the gradients of the matrices, then what goes on to the up-projections of
  /// trained adapters, by key and value.
  private func foldedOnce(_ isTraining: Bool) -> Int {
    let square = 2 * hiddenSize * hiddenSize
    var total = matrixCount * square * foldedRows
    guard isTraining else { return total }
    if trainsFusion || trainedWidth > 0 { total += square * foldedRows }
    if trainsFusion { total += matrixCount * square * foldedRows }
    return total + (matrixCount - 1) * square * trainedWidth
  }
}
