package import BERT
package import Tensors

/// A review made up for a test.
package struct TinyReview: Sendable {
  /// Its token ids.
  package var tokens: [Int32]
  /// Where the tokens of type 1 begin; the length when there is no second segment.
  package var secondSegmentStart: Int
  /// Its number in the data set.
  package var number: UInt32
  /// Its class.
  package var label: Int32
  /// Which positions the head reads; `[CLS]` alone when nil.
  package var reads: [Int32]?

  /// A review; without a second segment unless told.
  package init(_ tokens: [Int32], secondSegmentStart: Int? = nil, number: Int, label: Int = 0) {
    self.tokens = tokens
    self.secondSegmentStart = secondSegmentStart ?? tokens.count
    self.number = UInt32(number)
    self.label = Int32(label)
  }

  /// Reviews of some lengths, with made-up tokens from 1 on, two thirds of each in the first segment, and classes in
  /// turn.
  package static func reviews(
    lengths: [Int], vocabularySize: Int = 50, labelCount: Int = 2, seed: Int = 1
  ) -> [TinyReview] {
    var numbers = MadeUpNumbers(seed)
    return lengths.enumerated().map { index, length in
      TinyReview(
        (0..<length).map { _ in Int32(1 + numbers.index(below: vocabularySize - 1)) },
        secondSegmentStart: (2 * length + 2) / 3, number: 1000 + 7 * index, label: index % labelCount)
    }
  }
}

/// A small model with numbers of its own, all that a pass needs, and guards around its gradient block.
package final class TinyModel {
  /// Its shape.
  package let configuration: BERTConfiguration
  /// Its numbers.
  package let store: ParameterStore
  /// What a pass works with.
  package let workspace: Workspace
  /// The model.
  package let model: SequenceClassifier
  private let memory: [UnsafeMutableBufferPointer<Float>]
  /// What is frozen in bfloat16, then the copies of what is trained so.
  private let roundedMemory: UnsafeMutablePointer<BFloat16>
  private static let guardCount = 256
  private static let sentinel: Float = -0x1.357p100

  /// Where things lie.
  package var table: ParameterTable { store.table }
  /// The gradient block.
  package let gradients: UnsafeMutablePointer<Float>

  /// A shape in which every size is another number.
  package static func configuration(dropout: Float = 0.1, layers: Int = 2) -> BERTConfiguration {
    var configuration = BERTConfiguration()
    configuration.vocabularySize = 50
    configuration.hiddenSize = 24
    configuration.layerCount = layers
    configuration.attentionHeadCount = 3
    configuration.intermediateSize = 40
    configuration.positionCount = 20
    configuration.hiddenDropout = dropout
    configuration.attentionDropout = dropout
    configuration.labelCount = 3
    configuration.initializerRange = 0.25
    return configuration
  }

  /// A model over a table, with initial values of a seed and biases and normalisations that are not all alike.
  /// - Parameters:
  ///   - configuration: Its shape.
  ///   - table: Which of its parameters are trained, and what a method added.
  ///   - arenaBytes: How much memory a pass has; what the model promises to need when left out.
  ///   - seed: What its numbers and its dropout are a function of.
  ///   - make: Makes the model: the plain one when left out.
  package init(
    _ configuration: BERTConfiguration, table: ParameterTable, arenaBytes: Int? = nil, seed: UInt32 = 5,
    make: (BERTConfiguration, ParameterTable) -> SequenceClassifier = { SequenceClassifier($0, $1) }
  ) {
    self.configuration = configuration
    memory = [table.frozenCount, table.trainableCount, table.trainableCount].map { count in
      let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: count + 2 * TinyModel.guardCount)
      buffer.initialize(repeating: TinyModel.sentinel)
      return buffer
    }
    let blocks = memory.compactMap { $0.baseAddress.map { $0 + TinyModel.guardCount } }
    roundedMemory = .allocate(capacity: table.roundedCount + table.trainableCount)
    roundedMemory.initialize(repeating: BFloat16(.nan), count: table.roundedCount + table.trainableCount)
    store = ParameterStore(
      table: table, frozen: blocks[0], trainable: blocks[1],
      rounded: RoundedBlocks(frozen: roundedMemory, trainable: roundedMemory + table.roundedCount),
      transposes: .allocate(byteCount: max(1, table.transposeBytes), alignment: 64))
    gradients = blocks[2]
    gradients.update(repeating: 0, count: table.trainableCount)
    model = make(configuration, table)
    let capacity = arenaBytes ?? model.arenaBytes(tokens: 512, reviews: 64, longest: 128)
    let arena = ActivationArena.reserved(capacity)
    arena.poisons = true
    workspace = Workspace(parameters: store, gradients: gradients, arena: arena, seed: seed)
    workspace.isTraining = true
    workspace.step = 17
    for entry in table.entries { store.initialize(entry, seed: seed) }
    // What a method adds keeps the start that it says.
    for parameter in configuration.parameters(isTrainable: { _ in true }) where parameter.shape.count == 1 {
      vary(parameter.name)
    }
    store.refreshRounded()
    store.writeTransposes()
  }

  /// A plain BERT of which some parameters are trained.
  package convenience init(
    _ configuration: BERTConfiguration, arenaBytes: Int? = nil, trains: (String) -> Bool = { _ in true }
  ) {
    self.init(
      configuration, table: ParameterTable(configuration.parameters(isTrainable: trains)),
      arenaBytes: arenaBytes)
  }

  deinit {
    for buffer in memory { buffer.deallocate() }
    roundedMemory.deallocate()
    store.transposes?.deallocate()
  }

  /// Adds made-up numbers, in ±0.3 unless told, to a parameter, a function of its name.
  package func vary(_ name: String, within bound: Float = 0.3) {
    var numbers = MadeUpNumbers(name.utf8.reduce(17) { ($0 &* 31 &+ Int($1)) & 0xFFFF_FFFF })
    for i in store.elements(name).indices { store.elements(name)[i] += numbers.number(in: -bound...bound) }
  }

  /// Whether nothing was written beside the three blocks.
  package var isIntactAround: Bool {
    memory.allSatisfy {
      $0.prefix(TinyModel.guardCount).allSatisfy { $0 == TinyModel.sentinel }
        && $0.suffix(TinyModel.guardCount).allSatisfy { $0 == TinyModel.sentinel }
    }
  }

  /// The bits of the frozen block.
  package var frozenBits: [UInt32] { (0..<table.frozenCount).map { store.frozen[$0].bitPattern } }
  /// The trainable block.
  package var trainableValues: [Float] { (0..<table.trainableCount).map { store.trainable[$0] } }
  /// The gradient block.
  package var gradientValues: [Float] { (0..<table.trainableCount).map { gradients[$0] } }

  /// The gradient of a trained parameter.
  package func gradient(_ name: String) -> [Float] {
    let parameter = table[name]
    return (0..<parameter.count).map { gradients[parameter.offset + $0] }
  }

  /// Sets the gradient block to zero.
  package func clearGradients() { gradients.update(repeating: 0, count: table.trainableCount) }
}

extension ActivationArena {
  /// An arena of a size that no test's machine refuses.
  package static func reserved(_ capacity: Int) -> ActivationArena {
    guard let arena = try? ActivationArena(capacity: capacity) else {
      preconditionFailure("no address space for \(capacity) bytes")
    }
    return arena
  }
}
