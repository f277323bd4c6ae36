import BERT
import FineTuning
import Kernels
import Tensors
import TestSupport
import Testing

@Suite
struct LoRATests {
  static let configuration = TinyModel.configuration()

  static func model(_ lora: LoRA, vary: Bool = true) throws -> TinyModel {
    let test = MethodCase(method: lora)
    return try vary ? test.variedModel() : test.model()
  }

  /// B starts at zero, so training starts from the frozen base: every bit of the logits, with and without dropout.
  @Test(arguments: [["query", "value"], ["all-linear"]], [Float(0), 0.5])
  func startsFromTheBase(_ targets: [String], _ dropout: Float) throws {
    let lora = try LoRA(loraRank: 4, dropout: dropout, targets: targets)
    let model = try Self.model(lora, vary: false)
    let base = try MethodCase(method: LinearProbe()).model()
    #expect(model.logits(TinyModel.reviews) == base.logits(TinyModel.reviews))
    #expect(
      model.logits(TinyModel.reviews, training: false) == base.logits(TinyModel.reviews, training: false))
  }

  /// A uniform within 1/√in, which has the variance 1/(3 in); B zero.
  @Test
  func starts() throws {
    let model = try Self.model(LoRA(loraRank: 16, targets: ["all-linear"]), vary: false)
    for entry in try LoRA(loraRank: 16, targets: ["all-linear"]).addedParameters(Self.configuration) {
      let values = model.store.elements(entry.name).map { Double($0) }
      guard entry.name.hasSuffix("lora_A.weight") else {
        #expect(entry.name.hasSuffix("lora_B.weight") && values.allSatisfy { $0 == 0 })
        continue
      }
      let (bound, n) = (1 / Double(entry.shape[1]).squareRoot(), Double(values.count))
      #expect(values.allSatisfy { abs($0) <= bound * 1.000_001 })
      let variance = values.reduce(0) { $0 + $1 * $1 } / n
      // Five deviations of √(4/(45 n)) b².
      expectClose(variance, bound * bound / 3, absolute: 5 * (4 / (45 * n)).squareRoot() * bound * bound)
    }
  }

  /// `W + α/r·B A` in the place of W, worked out here, gives the same logits.
  @Test(arguments: [(1, 1.0), (3, 12), (5, 0.5)])
  func update(_ rank: Int, _ alpha: Double) throws {
    let lora = try LoRA(loraRank: rank, alpha: alpha, targets: ["query", "output.dense"])
    expectClose(lora.scale(of: "bert.pooler.dense"), alpha / Double(rank), relative: 1e-15)
    let model = try Self.model(lora)
    let plain = TinyModel(Self.configuration)
    for name in [
      "0.attention.self.query", "1.attention.self.query", "0.output.dense", "1.output.dense",
      "0.attention.output.dense", "1.attention.output.dense",
    ] {
      let name = "bert.encoder.layer." + name
      let (a, b) = (model.store[name + ".lora_A.weight"], model.store[name + ".lora_B.weight"])
      let weight = plain.store[name + ".weight"]
      for r in 0..<weight.rows {
        for c in 0..<weight.columns {
          let product = (0..<rank).reduce(0.0) { $0 + Double(b.row(r)[$1]) * Double(a.row($1)[c]) }
          weight.row(r)[c] += Float(alpha / Double(rank) * product)
        }
      }
    }
    for (found, expected) in zip(
      model.logits(TinyModel.reviews, training: false), plain.logits(TinyModel.reviews, training: false))
    {
      expectClose(found, expected, absolute: 1e-5)
    }
  }

  /// The branch by itself, in training: `y += s · B(A(mask · x))` with the mask of the projection's own site.
  @Test
  func dropout() throws {
    let lora = try LoRA(loraRank: 3, alpha: 6, dropout: 0.4)
    let model = try Self.model(lora)
    for projection in model.model.projections where lora.isTarget(projection.name) {
      let branch = try #require(projection.branch)
      #expect(branch.isTrainable && !branch.needsBias)
      let (a, b) = (
        model.store[projection.name + ".lora_A.weight"], model.store[projection.name + ".lora_B.weight"]
      )
      let site = try #require(
        Dropout(
          probability: 0.4, seed: model.workspace.seed, site: projection.branchSite,
          step: model.workspace.step))
      TinyModel.batch(TinyModel.reviews).withViews { views in
        model.workspace.arena.reset()
        let x = model.workspace.arena.matrix(views.tokens.count, 24)
        let y = model.workspace.arena.matrix(views.tokens.count, 24)
        var numbers = MadeUpNumbers(3)
        for i in 0..<x.rows * 24 { x.base[i] = numbers.number(in: -1...1) }
        y.fill(0.5)
        branch.forward(x, into: y, views.tokens, model.workspace)
        for r in 0..<x.rows {
          var mask = [UInt8](repeating: 0, count: Dropout.maskStride(24))
          site.writeMask(
            &mask, columns: 24, review: views.tokens.reviews[r], row: UInt32(views.tokens.positions[r]))
          let reduced = (0..<3).map { k in
            (0..<24).reduce(0.0) {
              $0 + Double(a.row(k)[$1]) * Double(x.row(r)[$1]) * Double(mask[$1]) * Double(site.scale)
            }
          }
          let expected = (0..<24).map { o in
            0.5 + 2 * (0..<3).reduce(0.0) { $0 + Double(b.row(o)[$1]) * reduced[$1] }
          }
          expectClose(
            UnsafeBufferPointer(start: y.row(r), count: 24), expected, absolute: 2e-6,
            "\(projection.name), row \(r)")
        }
      }
    }
  }

  /// Every projection that can have a branch has a site of its own, away from the model's own dropout.
  @Test
  func sites() {
    let model = TinyModel(TinyModel.configuration(layers: 3))
    var sites = model.model.projections.map(\.branchSite) + [DropoutSite.embeddings, DropoutSite.pooled]
    for layer in 0..<3 {
      sites += [
        DropoutSite.attentionProbabilities(layer: layer), DropoutSite.attentionOutput(layer: layer),
        DropoutSite.feedForwardOutput(layer: layer),
      ]
    }
    #expect(Set(sites).count == sites.count && sites.count == 6 * 3 + 2 + 2 + 9)
  }

  /// However large the update's inner dimension is, a pass fits into the memory that the model says it needs.
  @Test(arguments: [64, 3000])
  func largeRank(_ rank: Int) throws {
    let lora = try LoRA(loraRank: rank, targets: ["all-linear"])
    let configuration = Self.configuration
    let table = try lora.table(for: configuration)
    let promised = lora.model(configuration, table).arenaBytes(tokens: 300, reviews: 15, longest: 20)
    let model = TinyModel(configuration, table: table, arenaBytes: 16 * promised) { lora.model($0, $1) }
    model.addGradients(TinyReview.reviews(lengths: [Int](repeating: 20, count: 15), labelCount: 3))
    #expect(model.workspace.arena.peak <= promised)
  }
}
