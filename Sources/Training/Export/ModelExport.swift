package import Collectives
internal import Failures
internal import FoundationEssentials
internal import Tokenization

/// Writes a trained file for other libraries, and proves that it is the same model by reading it back.
package struct ModelExport {
  /// What was written.
  package struct Summary: Sendable {
    /// How many tensors the directory has.
    package let tensorCount: Int
    /// The largest difference of any logit between the trained file and the directory read back.
    package let largestDifference: Float
    /// How many made-up reviews were compared.
    package let probeCount: Int
  }

  private let communicator: Communicator

  /// An export by all ranks of a job; rank 0 writes.
  package init(_ communicator: Communicator) { self.communicator = communicator }

  /// Writes, reads back and compares; collective.
  /// - Parameters:
  ///   - checkpoint: A checkpoint or `model.h5`.
  ///   - base: The base it belongs to; where it was trained from when nil.
  ///   - format: What `--format` calls the form.
  ///   - output: A new or empty directory.
  /// - Returns: What was written.
  /// - Throws: The same `Failure` on all ranks; the directory is not left behind when it is not the same model.
  package func write(
    checkpoint: String, base: String?, format: String, to output: String
  ) throws -> Summary {
    let format = try ExportFormats.named(format)
    if try communicator.collectively({ try Base.isBase(checkpoint) }) {
      return try writeBase(checkpoint, format, to: output)
    }
    let trained = try TrainedModel(checkpoint: checkpoint, base: base, merged: false, communicator)
    defer { try? trained.model.free() }
    try ExportFormats.check(format, trained)
    let source = ExportSource(trained: trained, checkpoint: checkpoint, base: base)
    let expected = try Probe.logits(of: trained.model, communicator)
    let count = try format.write(source, to: output, communicator)
    let difference: Float
    do {
      difference = try compare(expected, format.readBack(output, source, communicator))
    } catch {
      try remove(output)
      throw error
    }
    guard difference <= format.tolerance else {
      try remove(output)
      throw Failure(
        .other,
        "read back, its logits differ by \(difference), and more than \(format.tolerance) is not the same model; \(output) was removed."
      )
    }
    return Summary(tensorCount: count, largestDifference: difference, probeCount: Probe.count)
  }

  /// A base leaves as it is: read back, it has to be the same to the last bit.
  private func writeBase(_ path: String, _ format: any ExportFormat, to output: String) throws -> Summary {
    guard format.holdsBases else {
      throw Failure(.usage, "\(path) is a base, and --format \(format.name) holds adapters; choose --format hf.")
    }
    let count = try communicator.shared {
      let base = try Base(opening: path)
      try base.export(to: output)
      let written = try Base(opening: output)
      guard written.contentSHA256 == base.contentSHA256, written.vocabulary == base.vocabulary,
        Set(written.tokenizerSettings.additionalTokens) == Set(base.tokenizerSettings.additionalTokens)
      else {
        try? FileManager.default.removeItem(atPath: output)
        throw Failure(.other, "read back, the directory is not the same base; \(output) was removed.")
      }
      return [Int64(base.tensorNames.count)]
    }
    return Summary(tensorCount: count.first.map { Int($0) } ?? 0, largestDifference: 0, probeCount: 0)
  }

  private func compare(_ expected: [Float]?, _ model: ModelState) throws -> Float {
    defer { try? model.free() }
    let found = try Probe.logits(of: model, communicator)
    let pairs = zip(expected ?? [], found ?? [])
    // Not a number, or another number of classes: as far apart as can be.
    let difference =
      expected?.count == found?.count
      ? pairs.reduce(Float(0)) { max($0, $1.0 == $1.1 ? 0 : abs($1.0 - $1.1).nanIsInfinite) } : .infinity
    return Float(try communicator.maximum(of: Double(difference)))
  }

  private func remove(_ output: String) throws {
    try communicator.collectively(where: communicator.isFirst) {
      try? FileManager.default.removeItem(atPath: output)
    }
  }
}

extension Float {
  fileprivate var nanIsInfinite: Float { isNaN ? .infinity : self }
}
