/// Which ranks sit on which node.
///
/// A piece of a sum goes from a node's ranks to one of them, its gatherer, and from there to the piece's owner: what
/// crosses the network is one sum a node, however many ranks a node has. Owners in turn have gatherers in turn, so that
/// every rank of a node carries a share.
package struct NodeLayout: Sendable, Equatable {
  /// `[nodes][ranks]`: ascending, and nodes in the order of their first ranks.
  package let nodes: [[Int]]

  /// A layout.
  package init(_ nodes: [[Int]]) { self.nodes = nodes }

  /// The layout in which ranks belong to the nodes that have these names, such as their first ranks.
  init(nodeOfRank: [Int]) {
    nodes = Set(nodeOfRank).sorted().map { node in nodeOfRank.indices.filter { nodeOfRank[$0] == node } }
  }

  /// A rank's place on the way of a piece.
  struct Place {
    /// Whom it sends to; nil for the owner.
    var parent: Int?
    /// All that it receives from, in the order in which they are added up: neighbours, then gatherers.
    private(set) var children: [Int] = []
    /// How many other ranks of its node it gathers from, and how many of them come before it.
    private(set) var neighbourCount = 0
    private(set) var neighboursBefore = 0
    /// Of an owner: how many gatherers of other nodes there are, and how many of them come before its own node.
    var gathererCount: Int { children.count - neighbourCount }
    private(set) var gatherersBefore = 0

    /// A rank that gathers from nobody.
    fileprivate init(parent: Int?) { self.parent = parent }

    /// Receives from other ranks of its node too.
    fileprivate mutating func gather(neighbours: [Int], before: Int) {
      children += neighbours
      (neighbourCount, neighboursBefore) = (neighbours.count, before)
    }

    /// Then from gatherers of other nodes.
    fileprivate mutating func gather(gatherers: [Int], before: Int) {
      children += gatherers
      gatherersBefore = before
    }
  }

  /// The place of a rank on the way to an owner.
  func place(of rank: Int, owner: Int) -> Place {
    guard let home = nodes.firstIndex(where: { $0.contains(owner) }),
      let turn = nodes[home].firstIndex(of: owner), let own = nodes.firstIndex(where: { $0.contains(rank) })
    else { preconditionFailure("ranks \(rank) and \(owner) are not in \(nodes)") }
    let gatherers = nodes.indices.map { $0 == home ? owner : nodes[$0][turn % nodes[$0].count] }
    guard gatherers[own] == rank else { return Place(parent: gatherers[own]) }
    let neighbours = nodes[own].filter { $0 != rank }
    var place = Place(parent: rank == owner ? nil : owner)
    place.gather(neighbours: neighbours, before: neighbours.prefix { $0 < rank }.count)
    if rank == owner { place.gather(gatherers: gatherers.filter { $0 != owner }, before: home) }
    return place
  }
}
