package import Tensors

/// The encoder: embeddings and layers, run forward over a batch and backward as far down as anything is trained.
package final class BERTModel {
  /// The input of the first layer.
  package let embeddings: Embeddings
  /// The layers, from the input up.
  package let layers: [EncoderLayer]
  private let hiddenSize: Int
  /// The lowest layer that has anything trained; -1 for the embeddings, the number of layers for none.
  package private(set) var lowestTrainable = 0

  init(_ configuration: BERTConfiguration, _ table: ParameterTable) {
    embeddings = Embeddings(configuration, table)
    layers = (0..<configuration.layerCount).map { EncoderLayer($0, configuration, table) }
    hiddenSize = configuration.hiddenSize
  }

  /// Finds the lowest layer that has anything trained; to be called when branches have been attached.
  func settleTrainableLayers() {
    if embeddings.isTrainable {
      lowestTrainable = -1
    } else {
      lowestTrainable = layers.firstIndex { $0.isTrainable } ?? layers.count
    }
  }

  /// Whether backward has anything to do below the head.
  package var needsGradient: Bool { lowestTrainable < layers.count }

  /// - Returns: The last layer's output at the rows that the head reads, `[reads, H]`.
  package func forward(_ batch: BatchViews, _ workspace: Workspace) -> Matrix {
    if let known = workspace.frozenOutput {
      return forward(known, through: max(0, lowestTrainable)..<layers.count, batch, workspace)
    }
    return forward(embeddings.forward(batch, workspace), through: layers.indices, batch, workspace)
  }

  /// What the embeddings and the layers below everything that is trained make of a batch.
  /// - Returns: `[tokens, H]`; `[reads, H]` where no layer is trained.
  package func frozenForward(_ batch: BatchViews, _ workspace: Workspace) -> Matrix {
    forward(embeddings.forward(batch, workspace), through: 0..<max(0, lowestTrainable), batch, workspace)
  }

  private func forward(
    _ x: Matrix, through indices: Range<Int>, _ batch: BatchViews, _ workspace: Workspace
  ) -> Matrix {
    var x = Operand(x)
    for index in indices {
      workspace.reached?(2 * index)
      x = layers[index].forward(
        x, batch, onlyReads: index == layers.count - 1,
        saves: workspace.isTraining && index >= lowestTrainable, workspace)
    }
    return x.values
  }

  /// Adds the gradients of everything that is trained below the head.
  /// - Parameters:
  ///   - dy: The gradient of forward's output; overwritten.
  ///   - batch: The batch of forward.
  ///   - workspace: Where gradients go, memory.
  package func backward(_ dy: Matrix, _ batch: BatchViews, _ workspace: Workspace) {
    // The last layer has fewer outputs than inputs; the others turn their output's gradient into their input's in place.
    var gradient = dy
    for index in layers.indices.reversed() where index >= lowestTrainable {
      let onlyReads = index == layers.count - 1
      let dx = onlyReads && index > lowestTrainable ? workspace.arena.matrix(batch.tokens.count, hiddenSize) : gradient
      workspace.inSpareArena(layers.count - 1 - index) {
        layers[index].backward(
          gradient, dx: index > lowestTrainable ? dx : nil, batch, onlyReads: onlyReads, workspace)
      }
      workspace.completed?(BackwardStages.layer(index, of: layers.count))
      gradient = dx
    }
    if lowestTrainable < 0 { embeddings.backward(gradient, batch, workspace) }
  }
}
