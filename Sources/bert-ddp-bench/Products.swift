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

/// The most that sgemm gives here: large square products on every thread of every rank at once.
enum SgemmPeak {
  /// GFLOP/s over all ranks, the best of a few.
  static func measure(threads: Int, _ communicator: Communicator) -> Double {
    useOneBLASThread()
    let n = 768
    let pool = WorkerPool(count: threads)
    defer { pool.close() }
    var best = 0.0
    let matrices = (0..<3 * threads).map { _ in
      let m = Matrix(.allocate(capacity: n * n), rows: n, columns: n)
      m.fill(0.5)
      return m
    }
    defer { for m in matrices { m.base.deallocate() } }
    for _ in 0..<5 {
      try? communicator.barrier()
      let start = now()
      pool.run { t in
        for _ in 0..<20 {
          multiply(matrices[3 * t], .plain, matrices[3 * t + 1], .transposed, into: matrices[3 * t + 2])
        }
      }
      let own = Double(threads) * 20 * 2 * Double(n * n * n) / (now() - start)
      best = max(best, (try? communicator.sum(of: own)) ?? own)
    }
    return best / 1e9
  }
}

/// Every kind of product in a step, timed alone.
enum ProductTimes {
  static func table(_ size: ModelSize) -> Table {
    let c = size.configuration
    let (h, i, t) = (c.hiddenSize, c.intermediateSize, 640)
    let shapes: [(String, Int, Int, Int, Orientation, Orientation)] = [
      ("query, key, value forward", t, 3 * h, h, .plain, .transposed),
      ("query, key, value input gradient", t, h, 3 * h, .plain, .plain),
      ("query, key, value weight gradient", 3 * h, h, t, .transposed, .plain),
      ("attention output forward", t, h, h, .plain, .transposed),
      ("intermediate forward", t, i, h, .plain, .transposed),
      ("intermediate input gradient", t, h, i, .plain, .plain),
      ("intermediate weight gradient", i, h, t, .transposed, .plain),
      ("output forward", t, h, i, .plain, .transposed),
      ("output input gradient", t, i, h, .plain, .plain),
      ("output weight gradient", h, i, t, .transposed, .plain),
      ("LoRA A forward", t, 16, h, .plain, .transposed),
      ("LoRA B forward", t, h, 16, .plain, .transposed),
      ("LoRA B weight gradient", h, 16, t, .transposed, .plain),
      ("LoRA A weight gradient", 16, h, t, .transposed, .plain),
      ("attention scores, 20 tokens", 20, 20, h / c.attentionHeadCount, .plain, .transposed),
      ("attention context, 20 tokens", 20, h / c.attentionHeadCount, 20, .plain, .plain),
    ]
    var table = Table(["product", "m", "n", "k", "GFLOP/s", "µs"])
    for (name, m, n, k, a, b) in shapes {
      let seconds = time(m, n, k, a, b)
      table.add(
        name, "\(m)", "\(n)", "\(k)", Format.fixed(2 * Double(m * n * k) / seconds / 1e9, digits: 1),
        Format.fixed(seconds * 1e6, digits: 1))
    }
    return table
  }

  private static func time(_ m: Int, _ n: Int, _ k: Int, _ ao: Orientation, _ bo: Orientation) -> Double {
    func matrix(_ rows: Int, _ columns: Int) -> Matrix {
      let m = Matrix(.allocate(capacity: rows * columns), rows: rows, columns: columns)
      m.fill(0.25)
      return m
    }
    let a = ao == .plain ? matrix(m, k) : matrix(k, m)
    let b = bo == .plain ? matrix(k, n) : matrix(n, k)
    let c = matrix(m, n)
    defer { for m in [a, b, c] { m.base.deallocate() } }
    let repetitions = max(1, Int(2e9 / (2 * Double(m * n * k))))
    return median(
      (0..<5).map { _ in
        let start = now()
        for _ in 0..<repetitions { multiply(a, ao, b, bo, into: c) }
        return (now() - start) / Double(repetitions)
      })
  }
}
