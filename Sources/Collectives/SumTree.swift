/// The order in which the parts of a sum are added: a binary tree over parts 0, 1, …, the same wherever the parts lie.
///
/// Float sums depend on their order, so a sum that is to have the same bits on any number of ranks needs one order for
/// all. Of twelve parts, a half, a third or a quarter that lies together is one node of the tree, or two.
package struct SumTree: Sendable, Equatable {
  /// How many parts there are.
  package let partCount: Int

  /// The tree over so many parts.
  package init(partCount: Int) {
    precondition(partCount > 0, "a sum of nothing")
    self.partCount = partCount
  }

  /// The parts that one of several owners has, when they share them out end to end.
  package func parts(of owner: Int, among owners: Int) -> Range<Int> {
    partCount * owner / owners..<partCount * (owner + 1) / owners
  }

  /// The largest nodes within a range of parts, in order; together they cover it.
  package func nodes(within parts: Range<Int>) -> [Range<Int>] {
    var nodes: [Range<Int>] = []
    func visit(_ node: Range<Int>) {
      let common = node.clamped(to: parts)
      if common.isEmpty { return }
      if common == node { return nodes.append(node) }
      let middle = SumTree.middle(of: node)
      visit(node.lowerBound..<middle)
      visit(middle..<node.upperBound)
    }
    visit(0..<partCount)
    return nodes
  }

  /// Whether two neighbouring nodes are the two halves of one.
  package func joins(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
    var node = 0..<partCount
    while node.count > 1 {
      let middle = SumTree.middle(of: node)
      if node.lowerBound == left.lowerBound && left.upperBound == middle && right == middle..<node.upperBound {
        return true
      }
      node = left.lowerBound < middle ? node.lowerBound..<middle : middle..<node.upperBound
    }
    return false
  }

  /// Of an odd number the larger half lies towards the middle of its parent's sibling, so that thirds fit too:
  /// (0+1)+2, 3+(4+5), (6+7)+8, 9+(10+11).
  private static func middle(of node: Range<Int>) -> Int {
    let isLeft = node.lowerBound / node.count % 2 == 0
    return node.lowerBound + node.count / 2 + (node.count % 2 == 1 && isLeft ? 1 : 0)
  }
}

/// Nodes of a tree in order of their parts; two halves of a node become that node as soon as both are there.
package struct PartialSums<Values> {
  private let tree: SumTree
  /// What there is: nodes and their sums.
  package private(set) var nodes: [(parts: Range<Int>, values: Values)] = []

  /// No sums yet.
  package init(_ tree: SumTree) { self.tree = tree }

  /// Adds the next node; `join` adds the values of a right half to those of the left one.
  package mutating func append(
    _ parts: Range<Int>, _ values: Values, join: (_ left: Values, _ right: Values) throws -> Void
  ) rethrows {
    nodes.append((parts, values))
    while let right = nodes.last, let left = nodes.dropLast().last, tree.joins(left.parts, right.parts) {
      try join(left.values, right.values)
      nodes.removeLast(2)
      nodes.append((left.parts.lowerBound..<right.parts.upperBound, left.values))
    }
  }

  /// Takes all nodes away.
  package mutating func removeAll() { nodes.removeAll(keepingCapacity: true) }
}
