internal import Collectives
internal import Glibc
internal import Tensors

/// Moments that ranks share out: from all ranks into a checkpoint, which knows nothing of ranks, and back.
extension Optimizer {
  /// Copies the moments of other ranks' tiles to rank 0, tensor by tensor; collective.
  /// - Parameters:
  ///   - communicator: All ranks.
  ///   - target: Blocks that have rank 0's own moments already; not looked at elsewhere.
  /// - Throws: `Failure` when ranks cannot talk.
  func collectMoments(on communicator: Communicator, into target: TrainingCheckpoint.Numbers) throws {
    guard let tiles, communicator.size > 1 else { return }
    for entry in store.table.trainableEntries {
      let range = entry.parameter.offset..<entry.parameter.offset + entry.parameter.count
      // The looked-up table is complete on every rank.
      if range.overlaps(tiles.table) { continue }
      for (own, all) in [(firstMoments, target.first), (secondMoments, target.second)] {
        var mine: [Float] = []
        if !communicator.isFirst {
          tiles.forEachTile(of: range) { if $1 == communicator.rank { mine += own[$0] } }
        }
        let gathered = try communicator.gather(mine)
        guard communicator.isFirst, let start = all.baseAddress else { continue }
        var taken = [Int](repeating: 0, count: communicator.size)
        tiles.forEachTile(of: range) { part, owner in
          if owner == communicator.rank { return }
          for (index, value) in gathered[owner][taken[owner]..<taken[owner] + part.count].enumerated() {
            start[part.lowerBound + index] = value
          }
          taken[owner] += part.count
        }
      }
    }
  }

  /// Gives back the memory that other ranks' moments took in this rank's own blocks.
  func forgetOthersMoments() {
    guard let tiles else { return }
    let page = Int(sysconf(CInt(_SC_PAGESIZE)))
    for moments in [firstMoments, secondMoments] {
      guard let start = moments.baseAddress else { continue }
      for range in [0..<tiles.table.lowerBound, tiles.table.upperBound..<moments.count] {
        tiles.forEachTile(of: range) { part, owner in
          if tiles.isOwn(owner) { return }
          // Whole pages read as zeros again. Nobody reads the rest of a tile before it is collected again.
          let first = (Int(bitPattern: start + part.lowerBound) + page - 1) / page * page
          let last = Int(bitPattern: start + part.upperBound) / page * page
          if first < last { madvise(UnsafeMutableRawPointer(bitPattern: first), last - first, MADV_DONTNEED) }
        }
      }
    }
  }

  /// Takes the moments of a parameter: of what this rank steps along, and no more.
  /// - Parameters:
  ///   - parameter: A trained one.
  ///   - read: Fills some rows of both moments, or all where it is told of none.
  /// - Throws: What `read` throws.
  func takeMoments(
    of parameter: Parameter,
    _ read: (
      _ rows: Range<Int>?, _ first: UnsafeMutableBufferPointer<Float>, _ second: UnsafeMutableBufferPointer<Float>
    ) throws -> Void
  ) throws {
    let range = parameter.offset..<parameter.offset + parameter.count
    if range.overlaps(lookedUp.range) { return try takeReachedRows(of: parameter, read) }
    guard let tiles else {
      return try read(
        nil, UnsafeMutableBufferPointer(rebasing: firstMoments[range]),
        UnsafeMutableBufferPointer(rebasing: secondMoments[range]))
    }
    let whole = UnsafeMutableBufferPointer<Float>.allocate(capacity: 2 * parameter.count)
    defer { whole.deallocate() }
    let (first, second) = (whole[..<parameter.count], whole[parameter.count...])
    try read(
      nil, UnsafeMutableBufferPointer(rebasing: first), UnsafeMutableBufferPointer(rebasing: second))
    tiles.forEachTile(of: range) { part, owner in
      guard tiles.isOwn(owner) else { return }
      for offset in part {
        firstMoments[offset] = first[offset - range.lowerBound]
        secondMoments[offset] = second[parameter.count + offset - range.lowerBound]
      }
    }
  }

  /// Takes the rows of the looked-up table that a gradient has reached: the others stay memory that nobody wrote.
  private func takeReachedRows(
    of parameter: Parameter,
    _ read: (Range<Int>?, UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) throws -> Void
  ) throws {
    let width = parameter.columns
    let block = max(1, min(parameter.rows, (1 << 18) / width))
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: 2 * block * width)
    defer { values.deallocate() }
    for start in stride(from: 0, to: parameter.rows, by: block) {
      let rows = start..<min(start + block, parameter.rows)
      let count = rows.count * width
      let first = UnsafeMutableBufferPointer(rebasing: values[..<count])
      let second = UnsafeMutableBufferPointer(rebasing: values[count..<2 * count])
      try read(rows, first, second)
      for (row, own) in zip(rows, stride(from: 0, to: count, by: width)) {
        let place = parameter.offset + row * width
        for (from, onto) in [(first, firstMoments), (second, secondMoments)] {
          let found = from[own..<own + width]
          if found.contains(where: { $0 != 0 }) { _ = onto[place..<place + width].update(fromContentsOf: found) }
        }
      }
    }
  }
}
