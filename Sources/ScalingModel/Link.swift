/// A connection as the α–β model has it: what a message costs, and what each of its bytes costs.
///
/// - SeeAlso: Hockney: *The communication challenge for MPP*, Parallel Computing 20, 1994.
package struct Link: Sendable, Equatable, Codable {
  /// α: seconds a message takes whatever its length.
  package var latency: Double
  /// β: seconds a byte.
  package var secondsPerByte: Double

  /// A link of that latency and inverse bandwidth.
  package init(latency: Double, secondsPerByte: Double) {
    (self.latency, self.secondsPerByte) = (latency, secondsPerByte)
  }
}

/// A network between nodes, as a person names it.
package struct Network: Sendable, Equatable {
  /// As it was named.
  package let name: String
  /// What it costs to send.
  package let link: Link
  /// Where the two numbers are from.
  package let source: String

  /// Networks that are known by name. Figures are what MPI gets out of them, not what is printed on the box: nine tenths
  /// of the line rate, and the latency of small messages between two processes through a switch.
  package static let known: [(name: String, latency: Double, bitsPerSecond: Double)] = [
    ("1GbE", 50e-6, 1e9), ("10GbE", 30e-6, 10e9), ("25GbE", 25e-6, 25e9), ("100GbE-RoCE", 3e-6, 100e9),
    ("100Gb-IB", 1.5e-6, 100e9), ("200Gb-IB", 1.3e-6, 200e9),
  ]

  /// A network by its name, or by two numbers `alpha,beta`: seconds a message and seconds a byte.
  /// - Returns: nil when the text is neither.
  package init?(_ text: String) {
    if let known = Network.known.first(where: { $0.name.lowercased() == text.lowercased() }) {
      name = known.name
      link = Link(latency: known.latency, secondsPerByte: 8 / (0.9 * known.bitsPerSecond))
      source = "assumed for \(known.name)"
      return
    }
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    guard parts.count == 2, let alpha = parts[0], let beta = parts[1], alpha >= 0, beta >= 0,
      (alpha + beta).isFinite
    else { return nil }
    (name, source) = (text, "given")
    link = Link(latency: alpha, secondsPerByte: beta)
  }
}
