import BERT
import FineTuning
import Tensors
import TestSupport
import Testing

/// What was trained, folded into the weights of a plain BERT.
@Suite
struct MergedTests {
  static let mergeable = MethodCase.all.filter(\.method.canMerge)

  /// A plain model with a trained one's parameters, folded.
  static func merged(_ trained: TinyModel, _ method: any FineTuningMethod) throws -> TinyModel {
    let merged = Merged(method)
    let configuration = trained.configuration
    let plain = TinyModel(configuration, table: try merged.table(for: configuration)) { merged.model($0, $1) }
    plain.copyParameters(from: trained)
    for projection in plain.model.projections {
      merged.fold(into: plain.store[projection.weight], of: projection.name, trained.store)
    }
    return plain
  }

  /// After training the merged model gives the same logits: rounding of another order of operations, 1e-5.
  @Test(arguments: mergeable)
  func sameLogits(_ test: MethodCase) throws {
    let trained = try test.variedModel()
    trained.train(5)
    let plain = try Self.merged(trained, test.method)
    let expected = trained.logits(TinyModel.reviews, training: false)
    for (found, expected) in zip(plain.logits(TinyModel.reviews, training: false), expected) {
      expectClose(found, expected, absolute: 1e-5)
    }
  }

  /// A merged model has the base's tensors, no more, and none of them is trained.
  @Test(arguments: mergeable)
  func plainModel(_ test: MethodCase) throws {
    let merged = Merged(test.method)
    let configuration = TinyModel.configuration()
    let table = try merged.table(for: configuration)
    #expect(table.trainableCount == 0 && merged.name == test.method.name)
    #expect(table.entries.map(\.specification.name) == configuration.parameters { _ in true }.map(\.name))
    let model = merged.model(configuration, table)
    #expect(model.projections.allSatisfy { $0.branch == nil } && !model.encoder.needsGradient)
  }

  /// The fold is the formula in `Double`, rounded once, at the projections with an update; others keep every bit.
  @Test(arguments: mergeable)
  func fold(_ test: MethodCase) throws {
    let trained = try test.variedModel()
    let plain = try Self.merged(trained, test.method)
    for projection in plain.model.projections {
      let (before, after) = (trained.store[projection.name + ".weight"], plain.store[projection.weight])
      let update = test.method.weightUpdate(of: projection.name, in: trained.store)
      for r in 0..<before.rows {
        for c in 0..<before.columns {
          var expected = Double(before.row(r)[c])
          if let update {
            for k in 0..<update.left.columns {
              expected += update.scale * Double(update.left.row(r)[k]) * Double(update.right.row(k)[c])
            }
          }
          expectClose(after.row(r)[c], expected, relative: update == nil ? 0 : 0x1p-23, absolute: 1e-12)
        }
      }
    }
  }
}
