internal import Randomness

extension Dataset {
  /// The first `limit` rows of a seeded shuffle, back in the order of the file (`--train-limit`).
  ///
  /// Smaller limits are contained in larger ones, and a limit of all rows or more changes nothing.
  package func limited(to limit: Int, seed: UInt32) -> Dataset {
    precondition(limit >= 0, "a negative limit")
    guard limit < count else { return self }
    let order = Permutation(count: count, generator: Philox(seed: seed, purpose: .subset), variant: 0)
    return selecting((0..<limit).map { order[$0] }.sorted())
  }

  /// A seeded split into training and validation rows, each in the order of the file (`--validation-fraction`).
  ///
  /// The validation part has `fraction` of the rows, rounded; from two rows on both parts have at least one.
  ///
  /// - Parameters:
  ///   - fraction: Between 0 and 1, both excluded.
  ///   - seed: The run's seed.
  /// - Returns: The two parts.
  package func split(validationFraction fraction: Double, seed: UInt32) -> (
    training: Dataset, validation: Dataset
  ) {
    precondition(fraction > 0 && fraction < 1, "a validation fraction lies between 0 and 1")
    let wanted = Int((Double(count) * fraction).rounded())
    let size = min(max(wanted, 1), max(count - 1, 0))
    let order = Permutation(count: count, generator: Philox(seed: seed, purpose: .validation), variant: 0)
    var isValidation = [Bool](repeating: false, count: count)
    for position in 0..<size { isValidation[order[position]] = true }
    let rows = 0..<count
    return (selecting(rows.filter { !isValidation[$0] }), selecting(rows.filter { isValidation[$0] }))
  }
}
