package import Tensors
package import Testing

/// Expects the gradients of trained parameters to be those of the sum of the reviews' losses, dropout included: masks
/// are a function of the step, so they stay what they are while a weight is moved.
///
/// Of each tensor a handful of elements is moved, and once the whole tensor along a direction that is half its own
/// gradient and half random: so an error anywhere in it shows.
///
/// Error model. The difference is `(8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h`. A loss in Float is wrong by about
/// δ = 3e-7 for each of a few reviews, which leaves 1.5·δ·reviews/h; truncation is h⁴/30 of a fifth derivative, below
/// 1e3 for these models, which are smooth: together 1e-4 for three reviews at h = 0.02, and a share of 1e-3 for
/// the rounding of the gradient itself and of steep functions. A gradient of these models is 0.01 to 10.
/// - Parameters:
///   - model: The model; its gradient block is overwritten.
///   - reviews: What is learnt.
///   - names: Which trained parameters; all of them when left out.
///   - sourceLocation: Where the expectation stands.
package func expectCentralDifferences(
  _ model: TinyModel, _ reviews: [TinyReview], names: [String]? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  model.clearGradients()
  model.addGradients(reviews)
  expectCentralDifferences(
    model.store, gradient: model.gradient, names: names, sourceLocation: sourceLocation
  ) { model.loss(reviews) }
}

/// Expects gradients to be those of a loss that is a function of the parameters, with the same error model.
/// - Parameters:
///   - store: The parameters.
///   - gradient: The gradient of a trained parameter.
///   - names: Which trained parameters; all of them when left out.
///   - lossCount: How many losses are added up, each by its weight: what their rounding grows with.
///   - sourceLocation: Where the expectation stands.
///   - loss: The sum of the losses, from a pass forward alone.
package func expectCentralDifferences(
  _ store: ParameterStore, gradient: (String) -> [Float], names: [String]? = nil, lossCount: Double = 3,
  sourceLocation: SourceLocation = #_sourceLocation, loss: () -> Double
) {
  for name in names ?? store.table.trainableEntries.map(\.specification.name) {
    let found = gradient(name)
    for (place, direction) in directions(found, seed: name.utf8.count) {
      let difference = slope(store, name, direction, 0.02, loss)
      let expected = zip(found, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      expectClose(
        expected, difference, relative: 1e-3, absolute: 1e-4 * lossCount / 3, "\(name), \(place)",
        sourceLocation: sourceLocation)
    }
  }
}

/// Four elements, those with the largest gradient and the middle one among them, and one mixed direction.
private func directions(_ gradient: [Float], seed: Int) -> [(String, [Float])] {
  var numbers = MadeUpNumbers(seed)
  let order = gradient.indices.sorted { abs(gradient[$0]) > abs(gradient[$1]) }
  let nonzero = order.prefix { gradient[$0] != 0 }
  var places = Set([order[0], numbers.index(below: gradient.count)])
  if !nonzero.isEmpty {
    places.formUnion([nonzero[nonzero.count / 2], nonzero[numbers.index(below: nonzero.count)]])
  }
  var checks = places.sorted().map { place in
    ("number \(place)", gradient.indices.map { $0 == place ? Float(1) : 0 })
  }
  let random = numbers.numbers(gradient.count)
  let (a, b) = (unit(gradient), unit(random))
  checks.append(("along a direction", unit(zip(a, b).map { $0 + $1 })))
  return checks
}

private func unit(_ x: [Float]) -> [Float] {
  let norm = x.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
  return norm == 0 ? x : x.map { Float(Double($0) / norm) }
}

/// The slope of the loss along a direction in one tensor, which is as before afterwards.
private func slope(
  _ store: ParameterStore, _ name: String, _ direction: [Float], _ h: Float, _ loss: () -> Double
) -> Double {
  let values = store.elements(name)
  let before = Array(values)
  func moved(_ distance: Float) -> Double {
    for i in values.indices { values[i] = before[i] + distance * direction[i] }
    return loss()
  }
  let difference = 8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))
  for i in values.indices { values[i] = before[i] }
  return difference / (12 * Double(h))
}
