import Glibc

/// A rate per second as an average that forgets: samples weigh less the longer ago they were.
struct MovingRate {
  /// After this many seconds a sample has lost about two thirds of its weight.
  static let memory = 15.0

  private var weighted = 0.0
  private var weight = 0.0

  /// The rate; nil before the first sample.
  var perSecond: Double? { weight > 0 ? weighted / weight : nil }

  /// Takes in how much was done in how many seconds.
  mutating func add(_ amount: Int, in seconds: Double) {
    guard seconds > 0 else { return }
    // Dividing by the summed weight corrects the start, when there is little to average over.
    let share = 1 - exp(-seconds / MovingRate.memory)
    weighted += share * (Double(amount) / seconds - weighted)
    weight += share * (1 - weight)
  }
}
