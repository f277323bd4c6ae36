internal import Kernels
internal import Tensors

/// Multi-head self-attention within each review: `[rows, H]` queries over the keys and values of the review's tokens.
///
/// Queries may be fewer than tokens: the last layer asks only for the rows that the head reads.
struct SelfAttention {
  let headCount: Int
  let dropoutProbability: Float
  let layer: Int
  /// What a fine-tuning method puts in front of keys and values.
  var prefix: (any AttentionPrefix)?

  /// What backward needs from forward.
  struct Cache {
    /// Where each review's probabilities begin: `headCount` matrices `[queries, tokens]` one after another.
    let probabilities: UnsafeMutablePointer<Float>
    /// The dropout masks, in a layout of their own: each head's padded to whole groups.
    let masks: UnsafeMutablePointer<UInt8>?
    let maskScale: Float
    /// Keys and values with their prefix, where there is one.
    let prefixed: PrefixedKeys?
  }

  /// One review's share of a pass.
  private struct Piece {
    let queries: Range<Int>
    let keys: Range<Int>
    /// The review's first token.
    let firstToken: Int
    let probabilityStart: Int
    let maskStart: Int
    var area: Int { queries.count * keys.count }
  }

  /// - Parameters:
  ///   - q: `[queries, H]`.
  ///   - k: `[tokens, H]`.
  ///   - v: `[tokens, H]`.
  ///   - context: `[queries, H]`, the output.
  ///   - queryRows: Which tokens the queries are.
  ///   - keyRows: Which tokens the keys and values are.
  ///   - workspace: Memory, dropout.
  /// - Returns: What backward needs.
  func forward(
    q: Matrix, k: Matrix, v: Matrix, into context: Matrix, queryRows: Rows, keyRows: Rows,
    _ workspace: Workspace
  ) -> Cache {
    let arena = workspace.arena
    let prefixed = prefix.map { PrefixedKeys($0, k: k, v: v, keyRows, workspace) }
    let (k, v) = (prefixed?.k ?? k, prefixed?.v ?? v)
    let dropout = workspace.dropout(
      dropoutProbability, site: DropoutSite.attentionProbabilities(layer: layer))
    var (probabilityCount, maskCount, largest) = (0, 0, 0)
    forEachPiece(queryRows, keyRows) { piece in
      probabilityCount += headCount * piece.area
      maskCount += headCount * Dropout.maskStride(piece.area)
      largest = max(largest, scratchCount(piece, width: q.columns / headCount))
    }
    let cache = Cache(
      probabilities: arena.allocate(Float.self, probabilityCount),
      masks: dropout.map { _ in arena.allocate(UInt8.self, maskCount) }, maskScale: dropout?.scale ?? 1,
      prefixed: prefixed)
    let mark = arena.mark
    let scratch = arena.allocate(Float.self, largest)
    KernelClock.time(.attention) {
      forEachPiece(queryRows, keyRows) { piece in
        if let dropout {
          writeMasks(dropout, cache, piece, queryRows, keyRows.reviews[piece.firstToken])
        }
        forEachHead(q: q, k: k, v: v, piece, cache, scratch) { head, columns in
          head.forward(into: context.rows(piece.queries).columns(columns))
        }
      }
    }
    arena.rewind(to: mark)
    return cache
  }

  /// Writes the gradients of q, k and v, and adds those of the prefix.
  func backward(
    _ dContext: Matrix, q: Matrix, k: Matrix, v: Matrix, dq: Matrix, dk: Matrix, dv: Matrix, _ cache: Cache,
    queryRows: Rows, keyRows: Rows, _ workspace: Workspace
  ) {
    let mark = workspace.arena.mark
    defer { workspace.arena.rewind(to: mark) }
    guard let prefix, let prefixed = cache.prefixed else {
      return gradients(
        dContext, q: q, k: k, v: v, dq: dq, dk: dk, dv: dv, cache, queryRows, keyRows, workspace)
    }
    let d = prefixed.gradients(workspace)
    gradients(
      dContext, q: q, k: prefixed.k, v: prefixed.v, dq: dq, dk: d.k, dv: d.v, cache, queryRows, keyRows,
      workspace)
    prefixed.split(d.both, dk: dk, dv: dv, prefix, keyRows, workspace)
  }

  private func gradients(
    _ dContext: Matrix, q: Matrix, k: Matrix, v: Matrix, dq: Matrix, dk: Matrix, dv: Matrix, _ cache: Cache,
    _ queryRows: Rows, _ keyRows: Rows, _ workspace: Workspace
  ) {
    var largest = 0
    forEachPiece(queryRows, keyRows) { largest = max(largest, scratchCount($0, width: q.columns / headCount)) }
    let scratch = workspace.arena.allocate(Float.self, largest)
    KernelClock.time(.attention) {
      forEachPiece(queryRows, keyRows) { piece in
        forEachHead(q: q, k: k, v: v, piece, cache, scratch) { head, columns in
          head.backward(
            dContext.rows(piece.queries).columns(columns), dq: dq.rows(piece.queries).columns(columns),
            dk: dk.rows(piece.keys).columns(columns), dv: dv.rows(piece.keys).columns(columns))
        }
      }
    }
  }

  private func scratchCount(_ piece: Piece, width: Int) -> Int {
    AttentionHead.scratchCount(queries: piece.queries.count, keys: piece.keys.count, width: width)
  }

  private func forEachPiece(_ queryRows: Rows, _ keyRows: Rows, _ body: (Piece) -> Void) {
    var (probabilityStart, maskStart) = (0, 0)
    let prefixLength = prefix?.length ?? 0
    for review in 0..<keyRows.reviewCount {
      let tokens = keyRows.range(review)
      let firstKey = tokens.lowerBound + review * prefixLength
      let piece = Piece(
        queries: queryRows.range(review), keys: firstKey..<firstKey + prefixLength + tokens.count,
        firstToken: tokens.lowerBound, probabilityStart: probabilityStart, maskStart: maskStart)
      body(piece)
      probabilityStart += headCount * piece.area
      maskStart += headCount * Dropout.maskStride(piece.area)
    }
  }

  private func forEachHead(
    q: Matrix, k: Matrix, v: Matrix, _ piece: Piece, _ cache: Cache, _ scratch: UnsafeMutablePointer<Float>,
    _ body: (AttentionHead, Range<Int>) -> Void
  ) {
    let width = q.columns / headCount
    let (queryCount, keyCount) = (piece.queries.count, piece.keys.count)
    for head in 0..<headCount {
      let columns = head * width..<(head + 1) * width
      let start = piece.probabilityStart + head * piece.area
      let keep = cache.masks.map { $0 + piece.maskStart + head * Dropout.maskStride(piece.area) }
      body(
        AttentionHead(
          q: q.rows(piece.queries).columns(columns), k: k.rows(piece.keys).columns(columns),
          v: v.rows(piece.keys).columns(columns),
          probabilities: Matrix(cache.probabilities + start, rows: queryCount, columns: keyCount),
          keep: keep.map { UnsafePointer($0) }, keepScale: cache.maskScale,
          scratch: scratch),
        columns)
    }
  }

  /// A probability's mask is keyed by (review, head) and its place in the review's full table of tokens × keys, so a
  /// query has the same mask whether all rows are asked for or a few.
  private func writeMasks(
    _ dropout: Dropout, _ cache: Cache, _ piece: Piece, _ queryRows: Rows, _ review: UInt32
  ) {
    guard let masks = cache.masks else { return }
    let keyCount = piece.keys.count
    for head in 0..<headCount {
      let mask = masks + piece.maskStart + head * Dropout.maskStride(piece.area)
      if isPrefix(queryRows, piece.queries) {
        dropout.writeMask(mask, columns: piece.area, review: review, row: UInt32(head))
        continue
      }
      for (i, row) in piece.queries.enumerated() {
        dropout.writeMaskPart(
          mask + i * keyCount, from: Int(queryRows.positions[row]) * keyCount, count: keyCount,
          review: review, row: UInt32(head))
      }
    }
  }

  /// Whether the queries are the review's first tokens in order, as they are in all but masked-language modelling.
  private func isPrefix(_ rows: Rows, _ range: Range<Int>) -> Bool {
    range.allSatisfy { Int(rows.positions[$0]) == $0 - range.lowerBound }
  }
}
