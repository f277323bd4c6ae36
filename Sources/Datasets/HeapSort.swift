/// Sorts in place, ascending; unlike the standard library's sort it never allocates.
///
/// - SeeAlso: Williams: *Algorithm 232: Heapsort*, CACM 7 (6), 1964.
func heapSort(_ keys: inout [UInt64]) {
  for root in (0..<keys.count / 2).reversed() { siftDown(&keys, from: root, count: keys.count) }
  for last in (0..<keys.count).reversed() where last > 0 {
    keys.swapAt(0, last)
    siftDown(&keys, from: 0, count: last)
  }
}

private func siftDown(_ keys: inout [UInt64], from start: Int, count: Int) {
  var root = start
  while true {
    var child = 2 * root + 1
    guard child < count else { return }
    if child + 1 < count && keys[child] < keys[child + 1] { child += 1 }
    guard keys[root] < keys[child] else { return }
    keys.swapAt(root, child)
    root = child
  }
}
