package import Kernels
package import Tensors

/// What a pass through the model works with: the parameters, where gradients go, memory, and what makes dropout.
///
/// One worker owns one workspace; the parameters are shared by all workers of a rank.
package final class Workspace {
  /// The numbers of the model.
  package let parameters: ParameterStore
  /// Where gradients are added up, in the layout of the trainable block; nil where nothing is trained.
  package var gradients: UnsafeMutablePointer<Float>?
  /// Who adds up the gradients of the encoder's matrices; nil where this worker does so alone.
  package var weightGradients: (any WeightGradients)?
  /// Memory for one pass.
  package private(set) var arena: ActivationArena
  /// Two arenas that layers' backward takes in turn where workers add gradients up together: others may still read what
  /// the layer before handed in.
  package var spares: [ActivationArena] = []
  /// The run's seed.
  package let seed: UInt32
  /// The optimiser step, which dropout masks depend on.
  package var step: UInt32 = 0
  /// Whether dropout is on and what backward needs is kept.
  package var isTraining = false
  /// What the loss of a sentence pair counts beside that of a hidden token.
  package var sentenceWeight: Float = 1
  /// What the frozen layers below everything that is trained make of the batch (`BERTModel.frozenForward`), where that is
  /// known; nil where the pass computes it.
  package var frozenOutput: Matrix?
  /// Told on the way through a backward pass that it will not change the gradients of any stage up to this one again
  /// (`BackwardStages`). What is not told of is complete at the end of the pass.
  package var completed: ((_ stage: Int) -> Void)?
  /// Told on the way through a forward pass where it is, in halves of layers: `2 l` before anything of layer `l` is
  /// read, `2 l + 1` before its feed-forward block is.
  package var reached: ((_ halfLayer: Int) -> Void)?

  /// A workspace over parameters.
  package init(
    parameters: ParameterStore, gradients: UnsafeMutablePointer<Float>?, arena: ActivationArena, seed: UInt32
  ) {
    self.parameters = parameters
    self.gradients = gradients
    self.arena = arena
    self.seed = seed
  }

  /// Runs a layer's backward in an arena that nobody reads any more.
  /// - Parameters:
  ///   - number: How many layers were before it.
  ///   - body: The layer's backward.
  func inSpareArena(_ number: Int, _ body: () -> Void) {
    guard weightGradients != nil, spares.count == 2 else { return body() }
    let own = arena
    arena = spares[number & 1]
    arena.reset()
    body()
    arena = own
  }

  /// The most bytes of memory that passes ever had in use at once.
  package var peak: Int { spares.reduce(arena.peak) { $0 + $1.peak } }

  /// The view of a parameter's numbers.
  package subscript(parameter: Parameter) -> Matrix { parameters[parameter] }

  /// Where a parameter's gradient is added up; nil when it is frozen.
  package func gradient(of parameter: Parameter) -> Matrix? {
    guard parameter.isTrainable, let gradients else { return nil }
    return Matrix(gradients + parameter.offset, rows: parameter.rows, columns: parameter.columns)
  }

  /// The dropout of a site in this step; nil outside training or when the probability is zero.
  package func dropout(_ probability: Float, site: UInt32) -> Dropout? {
    isTraining ? Dropout(probability: probability, seed: seed, site: site, step: step) : nil
  }

  /// The dropout mask of an activation `[rows, columns]` at a site; nil when there is no dropout.
  package func mask(_ rows: Rows, columns: Int, probability: Float, site: UInt32) -> Mask? {
    guard let dropout = dropout(probability, site: site) else { return nil }
    let bytes = arena.allocate(UInt8.self, rows.count * Dropout.maskStride(columns))
    let mask = Mask(base: bytes, columns: columns, scale: dropout.scale)
    for r in 0..<rows.count {
      dropout.writeMask(
        mask.row(r), columns: columns, review: rows.reviews[r], row: UInt32(rows.positions[r]))
    }
    return mask
  }
}

/// The numbering of the places in the model where something is dropped; a mask is a function of its site.
package enum DropoutSite {
  /// After the embeddings' normalisation.
  package static let embeddings: UInt32 = 1
  /// On the pooled `[CLS]`, before the classifier.
  package static let pooled: UInt32 = 2
  /// On `[CLS]` before a flexible head's first map.
  package static let headInput: UInt32 = 3

  /// The attention probabilities of a layer.
  package static func attentionProbabilities(layer: Int) -> UInt32 { of(layer, 0) }
  /// The output of a layer's attention, before it is added to the residual.
  package static func attentionOutput(layer: Int) -> UInt32 { of(layer, 1) }
  /// The output of a layer's feed-forward block, before it is added to the residual.
  package static func feedForwardOutput(layer: Int) -> UInt32 { of(layer, 2) }
  /// The input of the branch of a layer's projection; `projection` counts from 0, below 48.
  package static func branch(layer: Int, projection: Int) -> UInt32 { of(layer, 16 + UInt32(projection)) }

  private static func of(_ layer: Int, _ place: UInt32) -> UInt32 { 64 + UInt32(layer) * 64 + place }
}
