/// What a worker does of so many rows, columns or numbers that all share: in whole vectors, but for the last one's.
/// - Parameters:
///   - worker: Which worker.
///   - count: How many workers there are.
///   - total: How many rows, columns or numbers.
/// - Returns: Which of them are the worker's.
package func workerPart(_ worker: Int, of count: Int, total: Int) -> Range<Int> {
  func bound(_ worker: Int) -> Int { worker == count ? total : total * worker / count & ~(Lanes.scalarCount - 1) }
  return bound(worker)..<bound(worker + 1)
}
