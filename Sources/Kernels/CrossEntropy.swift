internal import Glibc

/// Softmax cross-entropy of one row, in `Double`.
/// - Parameters:
///   - logits: `[C]`.
///   - count: C.
///   - label: Which class is right.
///   - gradient: `[C]`; receives softmax(logits) − onehot(label) when it is not nil. May be `logits`.
/// - Returns: −log softmax(logits)[label].
package func crossEntropy(
  _ logits: UnsafePointer<Float>, count: Int, label: Int, gradient: UnsafeMutablePointer<Float>?
) -> Double {
  var largest = -Double.infinity
  for c in 0..<count { largest = max(largest, Double(logits[c])) }
  var total = 0.0
  for c in 0..<count { total += exp(Double(logits[c]) - largest) }
  let logTotal = largest + log(total)
  let loss = logTotal - Double(logits[label])
  if let gradient {
    for c in 0..<count {
      let probability = exp(Double(logits[c]) - logTotal)
      gradient[c] = Float(c == label ? probability - 1 : probability)
    }
  }
  return loss
}

/// The probabilities of one row's classes, in `Double`.
package func softmaxProbabilities(_ logits: UnsafePointer<Float>, count: Int) -> [Double] {
  let largest = (0..<count).reduce(-Double.infinity) { max($0, Double(logits[$1])) }
  let weights = (0..<count).map { exp(Double(logits[$0]) - largest) }
  let total = weights.reduce(0, +)
  return weights.map { $0 / total }
}

/// Softmax cross-entropy of one row over a vocabulary: exponentials in `Float`, sums of them in `Double`.
/// - Parameters:
///   - logits: `[count]`, before the bias; becomes the logits, or their gradient.
///   - bias: `[count]`.
///   - count: How many tokens there are.
///   - label: Which one is right.
///   - becomesGradient: Whether `logits` becomes softmax(logits) − onehot(label).
/// - Returns: −log softmax(logits)[label].
package func crossEntropy(
  ofLogits logits: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>, count: Int, label: Int,
  becomesGradient: Bool
) -> Double {
  for i in 0..<count { logits[i] += bias[i] }
  let largest = maximum(logits, count)
  let wanted = Double(logits[label]) - Double(largest)
  guard becomesGradient else { return log(sumOfExponentials(logits, count, minus: largest, into: nil)) - wanted }
  let total = sumOfExponentials(logits, count, minus: largest, into: logits)
  let inverse = Float(1 / total)
  for i in 0..<count { logits[i] *= inverse }
  logits[label] -= 1
  return log(total) - wanted
}

/// Σ exp(x − shift), a block at a time, so that the sum of many small numbers is as good as each of them.
private func sumOfExponentials(
  _ x: UnsafePointer<Float>, _ count: Int, minus shift: Float, into target: UnsafeMutablePointer<Float>?
) -> Double {
  let block = 256
  var total = 0.0
  for start in stride(from: 0, to: count, by: block) {
    let from = x + start
    let onto = target.map { $0 + start }
    @inline(__always)
    func term(_ range: LaneRange) -> Lanes {
      let value = exponential(range.load(from) - shift)
      if let onto { range.store(value, onto) }
      return range.within(value)
    }
    total += Double(rowTotal(min(block, count - start), term))
  }
  return total
}
