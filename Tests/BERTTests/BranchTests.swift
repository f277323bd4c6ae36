import BERT
import Kernels
import Tensors
import TestSupport
import Testing

/// The open sites that fine-tuning methods use, each with the smallest branch that shows it.
@Suite
struct BranchTests {
  static let reviews = TinyReview.reviews(lengths: [6, 1, 9], labelCount: 3)

  /// A table with a vector of trained factors beside a base of which a few parameters are trained.
  static func table(_ name: String, _ count: Int) -> ParameterTable {
    let base = TinyModel.configuration().parameters { name in
      name.contains("layer.0.attention.output") || name.contains("layer.1.intermediate")
        || name.contains("token_type") || name.hasPrefix("classifier.")
    }
    return ParameterTable(base + [ParameterSpecification(name, [count], .constant(1), isTrainable: true)])
  }

  /// Multiplies a projection's output, bias included, by trained factors.
  final class Scaling: ProjectionBranch {
    let factors: Parameter
    var floatsPerRow: Int { 2 * factors.count }
    let needsBias = true
    var isTrainable: Bool { factors.isTrainable }
    private var output: Matrix?

    init(_ factors: Parameter) { self.factors = factors }

    func forward(_ x: Matrix, into y: Matrix, _ rows: Rows, _ workspace: Workspace) {
      let output = workspace.arena.matrix(y.rows, y.columns)
      output.copy(from: y)
      self.output = output
      for r in 0..<y.rows { for c in 0..<y.columns { y.row(r)[c] *= workspace[factors].base[c] } }
    }

    func backward(_ dy: Matrix, _ x: Matrix, dx: Matrix?, _ rows: Rows, _ workspace: Workspace) {
      guard let output, let gradient = workspace.gradient(of: factors) else { return }
      for r in 0..<dy.rows {
        for c in 0..<dy.columns {
          gradient.base[c] += dy.row(r)[c] * output.row(r)[c]
          dy.row(r)[c] *= workspace[factors].base[c]
        }
      }
    }
  }

  /// At each projection, alone or one of three that are a single product.
  @Test(arguments: 0..<6, [0, 1])
  func projection(_ place: Int, _ layer: Int) {
    let count = place == 4 ? 40 : 24
    let model = TinyModel(TinyModel.configuration(), table: Self.table("factors", count)) {
      let model = SequenceClassifier($0, $1)
      model.encoder.layers[layer].projections[place].branch = Scaling($1["factors"])
      model.branchesWereAttached()
      return model
    }
    expectCentralDifferences(
      model, Self.reviews,
      names: ["factors", "bert.embeddings.token_type_embeddings.weight", "classifier.bias"])
    #expect(model.isIntactAround)
  }

  /// Factors of one change nothing: a bias that a branch needs is added once, wherever it would be added otherwise.
  @Test(arguments: 0..<6)
  func biasIsAddedOnce(_ place: Int) {
    let count = place == 4 ? 40 : 24
    let table = Self.table("factors", count)
    let plain = TinyModel(TinyModel.configuration(), table: table)
    let scaled = TinyModel(TinyModel.configuration(), table: table) {
      let model = SequenceClassifier($0, $1)
      for layer in model.encoder.layers { layer.projections[place].branch = Scaling($1["factors"]) }
      model.branchesWereAttached()
      return model
    }
    for i in scaled.store.elements("factors").indices { scaled.store.elements("factors")[i] = 1 }
    for (a, b) in zip(scaled.logits(Self.reviews), plain.logits(Self.reviews)) {
      expectClose(a, b, absolute: 3e-6)
    }
  }

  /// What the end of a block does of its own accord, as a branch: with a factor of one before the residual.
  final class ScaledEnd: BlockOutputBranch {
    let factors: Parameter
    var floatsPerRow: Int { 2 * factors.count }
    var isTrainable: Bool { factors.isTrainable }
    private var saved: (d: Matrix, normalized: Matrix, deviations: UnsafeMutablePointer<Float>)?

    init(_ factors: Parameter) { self.factors = factors }

    func forward(
      _ d: Matrix, residual: Matrix, _ norm: LayerNorm, into y: Matrix, _ rows: Rows, _ workspace: Workspace
    ) {
      let arena = workspace.arena
      let h = arena.matrix(d.rows, d.columns)
      for r in 0..<d.rows {
        for c in 0..<d.columns { h.row(r)[c] = d.row(r)[c] * workspace[factors].base[c] }
      }
      let deviations = arena.allocate(Float.self, d.rows)
      normalizeSum(
        h, bias: nil, mask: nil, residual: residual, gamma: workspace[norm.weight].base,
        beta: workspace[norm.bias].base, epsilon: norm.epsilon, into: y, inverseDeviations: deviations)
      saved = (d, h, deviations)
    }

    func backward(
      _ dy: Matrix, _ norm: LayerNorm, dd: Matrix, dResidual: Matrix, _ rows: Rows, _ workspace: Workspace
    ) {
      guard let saved, let gradient = workspace.gradient(of: factors) else { return }
      normalizeBackward(
        dy, normalized: saved.normalized, inverseDeviations: saved.deviations,
        gamma: workspace[norm.weight].base, into: dResidual,
        dGamma: workspace.gradient(of: norm.weight)?.base,
        dBeta: workspace.gradient(of: norm.bias)?.base)
      for r in 0..<dy.rows {
        for c in 0..<dy.columns {
          gradient.base[c] += dResidual.row(r)[c] * saved.d.row(r)[c]
          dd.row(r)[c] = dResidual.row(r)[c] * workspace[factors].base[c]
        }
      }
    }
  }

  @Test(arguments: [0, 1], [0, 1])
  func blockOutput(_ layer: Int, _ block: Int) {
    let table = Self.table("factors", 24)
    let model = TinyModel(TinyModel.configuration(), table: table) {
      let model = SequenceClassifier($0, $1)
      model.encoder.layers[layer].blockOutputs[block].branch = ScaledEnd($1["factors"])
      model.branchesWereAttached()
      return model
    }
    expectCentralDifferences(model, Self.reviews)
    for i in model.store.elements("factors").indices { model.store.elements("factors")[i] = 1 }
    let plain = TinyModel(TinyModel.configuration(), table: table)
    for (a, b) in zip(model.logits(Self.reviews), plain.logits(Self.reviews)) {
      expectClose(a, b, absolute: 3e-6)
    }
  }

  /// Multiplies the embeddings by trained factors.
  final class ScaledEmbeddings: EmbeddingBranch {
    let factors: Parameter
    var floatsPerRow: Int { 2 * factors.count }
    var isTrainable: Bool { factors.isTrainable }
    private var input: Matrix?

    init(_ factors: Parameter) { self.factors = factors }

    func forward(_ x: Matrix, _ rows: Rows, _ workspace: Workspace) {
      let input = workspace.arena.matrix(x.rows, x.columns)
      input.copy(from: x)
      self.input = input
      for r in 0..<x.rows { for c in 0..<x.columns { x.row(r)[c] *= workspace[factors].base[c] } }
    }

    func backward(_ dx: Matrix, _ rows: Rows, _ workspace: Workspace) {
      guard let input, let gradient = workspace.gradient(of: factors) else { return }
      for r in 0..<dx.rows {
        for c in 0..<dx.columns {
          gradient.base[c] += dx.row(r)[c] * input.row(r)[c]
          dx.row(r)[c] *= workspace[factors].base[c]
        }
      }
    }
  }

  /// With the tables below trained too, and with nothing but the branch.
  @Test(arguments: [true, false])
  func embeddings(_ trainsTables: Bool) {
    let base = TinyModel.configuration().parameters { trainsTables && $0.hasPrefix("bert.embeddings.") }
    let table = ParameterTable(
      base + [ParameterSpecification("factors", [24], .constant(1), isTrainable: true)])
    let model = TinyModel(TinyModel.configuration(), table: table) {
      let model = SequenceClassifier($0, $1)
      model.encoder.embeddings.branch = ScaledEmbeddings($1["factors"])
      model.branchesWereAttached()
      return model
    }
    expectCentralDifferences(model, Self.reviews)
    #expect(model.isIntactAround)
  }
}
