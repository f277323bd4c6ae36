internal import BERT
internal import Kernels
internal import Tensors

/// LoRA's branch at a table of embeddings: adds `s · B A[:, id]` to the sum of each token's embeddings.
///
/// There is no dropout, and the padding token's column of A gets no gradient, as in PEFT.
final class LowRankEmbedding: EmbeddingTableBranch {
  private let a: Parameter  // [r, ids]
  private let b: Parameter  // [H, r]
  private let scale: Float
  private let paddingID: Int

  init(a: Parameter, b: Parameter, scale: Float, paddingID: Int) {
    self.a = a
    self.b = b
    self.scale = scale
    self.paddingID = paddingID
  }

  var isTrainable: Bool { a.isTrainable || b.isTrainable }
  /// A token names a column of A, so only B is a product: forward, for `dB` and for the column's gradient.
  var operationsPerRow: BranchOperations {
    BranchOperations(forward: 2 * Double(b.count), gradients: isTrainable ? 4 * Double(b.count) : 0)
  }

  func forward(_ ids: UnsafePointer<Int32>, addingTo h: Matrix, _ workspace: Workspace) {
    let mark = workspace.arena.mark
    multiply(
      columns(ids, h.rows, workspace), .plain, workspace[b], .transposed, into: h, alpha: scale, beta: 1)
    workspace.arena.rewind(to: mark)
  }

  func backward(_ dh: Matrix, _ ids: UnsafePointer<Int32>, _ workspace: Workspace) {
    let arena = workspace.arena
    let mark = arena.mark
    defer { arena.rewind(to: mark) }
    if let dB = workspace.gradient(of: b) {
      multiply(
        dh, .transposed, columns(ids, dh.rows, workspace), .plain, into: dB, alpha: scale, beta: 1)
    }
    guard let dA = workspace.gradient(of: a) else { return }
    let dColumns = arena.matrix(dh.rows, a.rows)
    multiply(dh, .plain, workspace[b], .plain, into: dColumns, alpha: scale)
    for r in 0..<dh.rows where Int(ids[r]) != paddingID {
      for k in 0..<a.rows { dA.row(k)[Int(ids[r])] += dColumns.row(r)[k] }
    }
  }

  /// The columns of A that the tokens name, as rows: `[tokens, r]`.
  private func columns(_ ids: UnsafePointer<Int32>, _ count: Int, _ workspace: Workspace) -> Matrix {
    let (found, a) = (workspace.arena.matrix(count, a.rows), workspace[a])
    for r in 0..<count {
      for k in 0..<a.rows { found.row(r)[k] = a.row(k)[Int(ids[r])] }
    }
    return found
  }
}
