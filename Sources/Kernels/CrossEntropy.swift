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
