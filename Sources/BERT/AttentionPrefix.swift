internal import Kernels
package import Tensors

/// What a fine-tuning method puts in front of a layer's keys and values: seen by every query, without a position.
package protocol AttentionPrefix: AnyObject {
  /// Whether anything of it is trained.
  var isTrainable: Bool { get }
  /// How many keys and values it has.
  var length: Int { get }
  /// - Returns: Keys and values side by side, `[length, 2 H]`, in the workspace's arena.
  func forward(_ workspace: Workspace) -> Matrix
  /// Adds its gradients.
  /// - Parameters:
  ///   - d: The gradient of keys and values, `[length, 2 H]`.
  ///   - workspace: Where gradients go, memory.
  func backward(_ d: Matrix, _ workspace: Workspace)
}

/// Keys and values of a pass with a prefix in front of each review's own.
struct PrefixedKeys {
  let k: Matrix, v: Matrix
  private let length: Int
  private let both: Matrix

  /// Writes the prefix and each review's rows one after another.
  init(_ prefix: any AttentionPrefix, k: Matrix, v: Matrix, _ keyRows: Rows, _ workspace: Workspace) {
    length = prefix.length
    let width = k.columns
    both = workspace.arena.matrix(k.rows + keyRows.reviewCount * length, 2 * width)
    (self.k, self.v) = (both.columns(0..<width), both.columns(width..<2 * width))
    let front = prefix.forward(workspace)
    for review in 0..<keyRows.reviewCount {
      let own = keyRows.range(review)
      let start = own.lowerBound + review * length
      both.rows(start..<start + length).copy(from: front)
      let rows = start + length..<start + length + own.count
      self.k.rows(rows).copy(from: k.rows(own))
      self.v.rows(rows).copy(from: v.rows(own))
    }
  }

  /// Memory for the gradients of keys and values, prefixes included.
  func gradients(_ workspace: Workspace) -> (both: Matrix, k: Matrix, v: Matrix) {
    let d = workspace.arena.matrix(both.rows, both.columns)
    return (d, d.columns(0..<k.columns), d.columns(k.columns..<2 * k.columns))
  }

  /// Takes the gradients apart: each review's own rows, and the sum over reviews for the prefix.
  func split(
    _ d: Matrix, dk: Matrix, dv: Matrix, _ prefix: any AttentionPrefix, _ keyRows: Rows, _ workspace: Workspace
  ) {
    let width = k.columns
    let total = workspace.arena.matrix(length, 2 * width)
    total.fill(0)
    for review in 0..<keyRows.reviewCount {
      let own = keyRows.range(review)
      let start = own.lowerBound + review * length
      add(d.rows(start..<start + length), to: total)
      let rows = d.rows(start + length..<start + length + own.count)
      dk.rows(own).copy(from: rows.columns(0..<width))
      dv.rows(own).copy(from: rows.columns(width..<2 * width))
    }
    prefix.backward(total, workspace)
  }
}
