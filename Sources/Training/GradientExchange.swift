package import BERT
package import Collectives
internal import Kernels
package import Tensors

/// The sum of a step's gradients over all ranks: of what the step touched and nothing else, begun while backward goes on.
///
/// Backward says when the gradients of a stage are complete; its pieces then travel behind the passes of the stages
/// below. The owner of a piece, who adds it up, also adds up its squares, so the global norm costs no further reading.
package final class GradientExchange {
  /// Whether a rank has the sums of its own tiles only, and all ranks get its parameters after the step.
  package let isSharded: Bool
  /// What this rank's optimiser has to step along; nil for everything.
  package var optimizerTiles: BlockTiles? { isSharded ? tiles : nil }

  private let tiles: BlockTiles

  private let communicator: Communicator
  private let exchange: PieceExchange
  /// `[stages]`: what each stage sends, in one list, and where each stage ends in it.
  private let pieces: [Piece]
  private let stageEnds: [Int]
  /// The pieces of the rows that the step under way touches.
  private var tablePieces: BlockTiles.TablePieces
  private var sentStages = 0
  /// Of the pieces that this rank owns; zero for others.
  private var squares: [Double] = []
  private var rankSquares: [Double]
  private var gradients: UnsafeMutablePointer<Float>?

  /// An exchange between all ranks.
  /// - Parameters:
  ///   - communicator: All ranks.
  ///   - table: The layout of the trainable block.
  ///   - stages: When backward completes what.
  ///   - isSharded: Whether each rank is to step along its own tiles only.
  package init(
    _ communicator: Communicator, _ table: ParameterTable, _ stages: BackwardStages, isSharded: Bool = false
  ) {
    self.communicator = communicator
    self.isSharded = isSharded && communicator.size > 1
    tiles = BlockTiles(table, rank: communicator.rank, of: communicator.size)
    tablePieces = tiles.noTablePieces
    var pieces: [Piece] = []
    var ends: [Int] = []
    for ranges in stages.ranges {
      pieces += tiles.pieces(of: ranges)
      ends.append(pieces.count)
    }
    (self.pieces, stageEnds) = (pieces, ends)
    let most = pieces.count + tablePieces.most
    exchange = PieceExchange(communicator, longest: tiles.tile, mostPieces: most)
    squares.reserveCapacity(most)
    rankSquares = [Double](repeating: 0, count: communicator.size)
    exchange.summed = { [unowned self] number in addSquares(number) }
  }

  /// Begins a step; nothing is sent yet.
  /// - Parameters:
  ///   - gradients: In the layout of the trainable block.
  ///   - touched: Where they can be other than zero on any rank, the same on all.
  package func begin(_ gradients: UnsafeMutablePointer<Float>, touched: Stretches) {
    self.gradients = gradients
    tablePieces.find(touched)
    sentStages = 0
    let count = pieces.count + tablePieces.pieces.count
    squares.removeAll(keepingCapacity: true)
    for _ in 0..<count { squares.append(0) }
  }

  /// Sends what is complete; from the thread that began.
  /// - Parameter stage: Gradients up to this stage will not change any more.
  /// - Throws: `Failure` when ranks cannot talk.
  package func complete(_ stage: Int) throws {
    guard let gradients else { return }
    while sentStages <= stage, sentStages < stageEnds.count {
      let start = sentStages == 0 ? 0 : stageEnds[sentStages - 1]
      let end = stageEnds[sentStages]
      sentStages += 1
      if start == end { continue }
      try exchange.add(pieces[start..<end], numberedFrom: start, of: gradients, isSharded ? .toOwner : .toAll)
    }
    try exchange.poke()
  }

  /// Sends the rest and returns when everything has arrived.
  /// - Throws: `Failure` when ranks cannot talk.
  package func finish() throws {
    guard let gradients else { return }
    try complete(stageEnds.count - 1)
    if !tablePieces.pieces.isEmpty {
      try exchange.add(tablePieces.pieces[...], numberedFrom: pieces.count, of: gradients, .toAll)
    }
    try exchange.finish()
    self.gradients = nil
  }

  private func addSquares(_ number: Int) {
    guard let gradients else { return }
    let piece = number < pieces.count ? pieces[number] : tablePieces.pieces[number - pieces.count]
    for range in piece.ranges { squares[number] += sumOfSquares(gradients + range.lowerBound, range.count) }
  }

  /// The global norm of the mean gradient, after `finish`; collective.
  /// - Parameter count: How many reviews the sum is of.
  /// - Returns: The Euclidean norm, the same on all ranks; nil where one rank is alone and nothing was added up.
  /// - Throws: `Failure` when ranks cannot talk.
  package func norm(count: Int) throws -> Double? {
    guard communicator.size > 1 else { return nil }
    // Pieces arrive in any order and are added in one.
    for rank in rankSquares.indices { rankSquares[rank] = 0 }
    rankSquares[communicator.rank] = squares.reduce(0, +)
    try rankSquares.withUnsafeMutableBufferPointer { try communicator.allReduceSum($0) }
    return rankSquares.reduce(0, +).squareRoot() / Double(count)
  }

  /// Has all ranks get the parameters that only their owners have stepped along; collective.
  /// - Throws: `Failure` when ranks cannot talk.
  package func share(_ parameters: UnsafeMutablePointer<Float>) throws {
    guard isSharded else { return }
    try exchange.add(pieces[...], of: parameters, .fromOwner)
    try exchange.finish()
  }
}
