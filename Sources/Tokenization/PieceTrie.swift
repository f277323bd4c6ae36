/// The pieces of a vocabulary as two tries over code points: one for beginnings of words, one for what
/// follows (tokens with "##"). All edges lie in one open-addressing hash table, so that a step down is one
/// probe, whatever the script.
struct PieceTrie: Sendable {
  /// One step down; `child` 0 marks a free place.
  private struct Edge: BitwiseCopyable {
    var node: UInt32 = 0
    var scalar: UInt32 = 0
    var child: UInt32 = 0
    /// The token that ends at the child, or -1.
    var token: Int32 = -1
  }

  /// The node where words begin.
  static let beginning: UInt32 = 0
  /// The node where the rest of a word goes on.
  static let continuation: UInt32 = 1

  private var edges: [Edge]
  private var nodeCount: UInt32 = 2

  /// The trie of a vocabulary; of tokens that stand twice, the last counts.
  init(_ vocabulary: Vocabulary) {
    edges = Array(repeating: Edge(), count: 1024)
    for id in 0..<Int32(vocabulary.count) {
      let isContinuation = vocabulary.isContinuation(id)
      insert(vocabulary.bytes(of: id).dropFirst(isContinuation ? 2 : 0), id, continuation: isContinuation)
    }
  }

  /// Appends the pieces of a word, longest first from the left, as WordPiece does.
  ///
  /// - Returns: False, with nothing appended, where the vocabulary does not cover the word.
  @inline(__always)
  func append(_ word: Span<UInt32>, to ids: inout [Int32]) -> Bool {
    let edges = self.edges.span
    let before = ids.count
    var start = 0
    var root = Self.beginning
    while start < word.count {
      var node = root
      var place = start
      var found: Int32 = -1
      while place < word.count {
        let edge = Self.step(edges, node, word[place])
        if edge.child == 0 { break }
        place += 1
        node = edge.child
        if edge.token >= 0 {
          found = edge.token
          start = place
        }
      }
      if found < 0 {
        ids.removeLast(ids.count - before)
        return false
      }
      ids.append(found)
      root = Self.continuation
    }
    return true
  }

  /// The edge from a node by a code point, or the free place where it would be.
  @inline(__always)
  private static func step(_ edges: Span<Edge>, _ node: UInt32, _ scalar: UInt32) -> Edge {
    var place = slot(node, scalar, count: edges.count)
    while true {
      let edge = edges[place]
      if edge.child == 0 || edge.node == node && edge.scalar == scalar { return edge }
      place = (place + 1) & (edges.count - 1)
    }
  }

  /// Where the search for an edge begins among a power of two of places (multiplicative hashing).
  @inline(__always)
  private static func slot(_ node: UInt32, _ scalar: UInt32, count: Int) -> Int {
    let hash = (UInt64(node) << 21 ^ UInt64(scalar)) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: hash >> 32) & (count - 1)
  }

  private mutating func insert(_ token: ArraySlice<UInt8>, _ id: Int32, continuation: Bool) {
    // Every code point has one byte that is not a continuation byte.
    let length = token.count { $0 & 0xC0 != 0x80 }
    guard length > 0, length <= WordSplitter.longestWord else { return }
    var node = continuation ? Self.continuation : Self.beginning
    var place = 0
    for scalar in String(decoding: token, as: UTF8.self).unicodeScalars {
      place = findOrAdd(node, scalar.value)
      node = edges[place].child
    }
    edges[place].token = id
  }

  private mutating func findOrAdd(_ node: UInt32, _ scalar: UInt32) -> Int {
    var place = Self.slot(node, scalar, count: edges.count)
    while edges[place].child != 0 {
      if edges[place].node == node, edges[place].scalar == scalar { return place }
      place = (place + 1) & (edges.count - 1)
    }
    if Int(nodeCount) * 2 > edges.count {
      grow()
      return findOrAdd(node, scalar)
    }
    edges[place] = Edge(node: node, scalar: scalar, child: nodeCount)
    nodeCount += 1
    return place
  }

  private mutating func grow() {
    let old = edges
    edges = Array(repeating: Edge(), count: old.count * 2)
    for edge in old where edge.child != 0 {
      var place = Self.slot(edge.node, edge.scalar, count: edges.count)
      while edges[place].child != 0 { place = (place + 1) & (edges.count - 1) }
      edges[place] = edge
    }
  }
}
