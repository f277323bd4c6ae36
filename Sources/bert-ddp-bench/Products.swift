import ArgumentParser
import BERT
import Collectives
import Console
import Kernels
import Tensors
import Training

/// The shapes that are measured.
enum ModelSize: String, ExpressibleByArgument, CaseIterable {
  case mini, base

  var configuration: BERTConfiguration {
    var c = BERTConfiguration()
    switch self {
    case .mini:
      (c.vocabularySize, c.hiddenSize, c.layerCount) = (16_000, 256, 4)
      (c.attentionHeadCount, c.intermediateSize, c.positionCount) = (4, 1024, 160)
    case .base:
      (c.vocabularySize, c.hiddenSize, c.layerCount) = (119_547, 768, 12)
      (c.attentionHeadCount, c.intermediateSize, c.positionCount) = (12, 3072, 512)
    }
    return c
  }
}

/// Matrix products on every thread of every rank at once, each thread on matrices of its own.
struct Products {
  private let threads: Int
  private let communicator: Communicator

  init(threads: Int, _ communicator: Communicator) {
    useOneBLASThread()
    (self.threads, self.communicator) = (threads, communicator)
  }

  /// The product that the machine's peak is measured by: large and square.
  private static let square = Shape("", 768, 768, 768, .plain, .transposed)

  /// The most that a library's sgemm gives here, over all threads of all ranks, in operations a second, and which library
  /// that is: the best of many rounds, since threads that have just begun may share a core for a while.
  func peak() throws -> (rate: Double, library: ProductLibrary) {
    // Those that all ranks have, so that all measure together.
    let usable = try ProductLibrary.allCases.map { try communicator.minimum(of: $0.isUsable ? 1 : 0) }
    return try zip(ProductLibrary.allCases, usable).filter { $0.1 > 0 }
      .map { (try measure(Products.square, rounds: 60, by: $0.0).max() ?? 0, $0.0) }.max { $0.0 < $1.0 }
      ?? (0, .openBLAS)
  }

  /// What the machine's sgemm gives at this moment, in operations a second: the best of four rounds between two steps,
  /// so that a clock that changes and neighbours that come and go are in the peak as in the steps.
  /// - Parameter library: Whose; the one that `peak` found.
  /// - Returns: Over all threads of all ranks, in operations a second.
  /// - Throws: `Failure` when ranks cannot talk.
  func peakNow(by library: ProductLibrary) throws -> Double {
    try measure(Products.square, rounds: 4, by: library).max() ?? 0
  }

  /// Every kind of product in a step, timed alone, beside the peak.
  /// - Parameters:
  ///   - size: The model's shape.
  ///   - peak: What `peak` found.
  ///   - tokens: How many tokens a pass has.
  /// - Returns: The same for people and for programs.
  /// - Throws: `Failure` when ranks cannot talk.
  func table(_ size: ModelSize, peak: Double, tokens: Int) throws -> (Table, [ProductLine]) {
    var table = Table(["product", "m", "n", "k", "GFLOP/s", "of peak", "µs"])
    var lines: [ProductLine] = []
    for shape in Shape.all(size.configuration, tokens: tokens) {
      let rate = median(try measure(shape, rounds: 5))
      let seconds = shape.operations * Double(threads * communicator.size) / rate
      table.add(
        shape.name, "\(shape.m)", "\(shape.n)", "\(shape.k)", Format.fixed(rate / 1e9, digits: 1),
        Format.percent(rate / peak, digits: 1), Format.fixed(seconds * 1e6, digits: 1))
      lines.append(
        ProductLine(
          product: shape.name, m: shape.m, n: shape.n, k: shape.k, gflops: rate / 1e9, share_of_peak: rate / peak))
    }
    return (table, lines)
  }

  /// - Returns: Operations a second over all threads of all ranks, for each round.
  private func measure(_ shape: Shape, rounds: Int, by library: ProductLibrary? = nil) throws -> [Double] {
    func matrix(_ rows: Int, _ columns: Int, _ value: Float) -> Matrix {
      let m = Matrix(.allocate(capacity: rows * columns), rows: rows, columns: columns)
      m.fill(value)
      return m
    }
    let pool = try WorkerPool(count: threads)
    defer { pool.close() }
    let factors = (0..<threads).map { _ in
      (
        shape.a == .plain ? matrix(shape.m, shape.k, 0.5) : matrix(shape.k, shape.m, 0.5),
        shape.b == .plain ? matrix(shape.k, shape.n, 0.25) : matrix(shape.n, shape.k, 0.25),
        matrix(shape.m, shape.n, 0)
      )
    }
    defer { for (a, b, c) in factors { for m in [a, b, c] { m.base.deallocate() } } }
    let repetitions = max(1, Int(2e9 / shape.operations))
    return try (0...rounds).map { _ in
      try communicator.barrier()
      let start = monotonicSeconds()
      pool.run { thread in
        let (a, b, c) = factors[thread]
        for _ in 0..<repetitions { multiply(a, shape.a, b, shape.b, into: c, by: library) }
      }
      let own = Double(threads * repetitions) * shape.operations / (monotonicSeconds() - start)
      return try communicator.sum(of: own)
    }.dropFirst().map { $0 }
  }

  /// A product's sizes and how its factors lie.
  private struct Shape {
    let name: String
    let m: Int, n: Int, k: Int
    let a: Orientation, b: Orientation
    var operations: Double { 2 * Double(m) * Double(n) * Double(k) }

    init(_ name: String, _ m: Int, _ n: Int, _ k: Int, _ a: Orientation, _ b: Orientation) {
      (self.name, self.m, self.n, self.k, self.a, self.b) = (name, m, n, k, a, b)
    }

    static func all(_ c: BERTConfiguration, tokens t: Int) -> [Shape] {
      let (h, i) = (c.hiddenSize, c.intermediateSize)
      return [
        Shape("query, key, value forward", t, 3 * h, h, .plain, .transposed),
        Shape("query, key, value input gradient", t, h, 3 * h, .plain, .plain),
        Shape("query, key, value weight gradient", 3 * h, h, t, .transposed, .plain),
        Shape("attention output forward", t, h, h, .plain, .transposed),
        Shape("attention output input gradient", t, h, h, .plain, .plain),
        Shape("attention output weight gradient", h, h, t, .transposed, .plain),
        Shape("intermediate forward", t, i, h, .plain, .transposed),
        Shape("intermediate input gradient", t, h, i, .plain, .plain),
        Shape("intermediate weight gradient", i, h, t, .transposed, .plain),
        Shape("output forward", t, h, i, .plain, .transposed),
        Shape("output input gradient", t, i, h, .plain, .plain),
        Shape("output weight gradient", h, i, t, .transposed, .plain),
        Shape("LoRA A forward", t, 16, h, .plain, .transposed),
        Shape("LoRA B forward", t, h, 16, .plain, .transposed),
        Shape("LoRA B weight gradient", h, 16, t, .transposed, .plain),
        Shape("LoRA A weight gradient", 16, h, t, .transposed, .plain),
        Shape("attention scores, 20 tokens", 20, 20, h / c.attentionHeadCount, .plain, .transposed),
        Shape("attention context, 20 tokens", 20, h / c.attentionHeadCount, 20, .plain, .plain),
      ]
    }
  }
}

/// One product in JSON.
struct ProductLine: Encodable {
  let product: String
  let m: Int, n: Int, k: Int
  // swift-format-ignore: AlwaysUseLowerCamelCase
  let gflops: Double, share_of_peak: Double
}
