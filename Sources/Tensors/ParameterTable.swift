/// How a parameter starts when no checkpoint brings it.
package enum Initializer: Sendable, Equatable {
  /// The same value everywhere.
  case constant(Float)
  /// Normal with mean zero and a standard deviation; a row (the padding token's embedding) may stay zero.
  case normal(deviation: Float, zeroRow: Int? = nil)
  /// Uniform in `-bound..<bound`.
  case uniform(bound: Float)
  /// One value on the diagonal and another beside it.
  case diagonal(Float, elsewhere: Float)
}

/// What is known of a parameter before it has a place: its published name, shape, start and treatment.
package struct ParameterSpecification: Sendable {
  /// The published tensor name, such as `bert.encoder.layer.0.attention.self.query.weight`.
  package let name: String
  /// `[n]` or `[rows, columns]`.
  package let shape: [Int]
  /// How it starts when no checkpoint brings it.
  package let initializer: Initializer
  /// Whether it is trained, with a gradient and AdamW moments; otherwise it is frozen.
  package var isTrainable: Bool
  /// Whether weight decay applies (not to biases and normalisation weights).
  package let decays: Bool
  /// What the learning rate is multiplied by for this parameter.
  package let learningRateScale: Float
  /// Whether it is a table of which a pass reads only some rows, so that the gradients of all others are zero.
  package let isLookedUp: Bool
  /// In which precision products and look-ups read it.
  package var precision = Precision.fp32
  /// Whether products read it along its rows so often that a transposed copy is worth its memory while it is frozen.
  package var keepsTranspose = false
  /// Whether a method's regularisation holds it near the identity while it is trained.
  package var isHeldAtIdentity = false

  /// A parameter; weight decay is left out for names that contain `bias` or `LayerNorm`, as the reference does.
  package init(
    _ name: String, _ shape: [Int], _ initializer: Initializer, isTrainable: Bool,
    learningRateScale: Float = 1, isLookedUp: Bool = false
  ) {
    self.name = name
    self.shape = shape
    self.initializer = initializer
    self.isTrainable = isTrainable
    self.learningRateScale = learningRateScale
    self.isLookedUp = isLookedUp
    decays =
      !(name.contains("bias") || name.contains("LayerNorm") || name.contains("layernorm")
      || name.contains("_norm"))
  }

  /// How many numbers it has.
  package var count: Int { shape.reduce(1, *) }
  /// Whether there is a transposed copy of it, which lies beside that of another.
  fileprivate func isTransposed(beside other: ParameterSpecification) -> Bool {
    keepsTranspose && !isTrainable && shape.count == 2 && other.shape.last == shape[1] && other.precision == precision
  }
}

/// Where a transposed copy of a frozen matrix lies, `[columns, rows]`.
package struct Transpose: BitwiseCopyable, Sendable, Equatable {
  /// The byte where its first element begins, counted from the start of the copies.
  package let offset: Int
  /// How many numbers lie between the starts of two rows of the copy.
  package let stride: Int

  /// A place among the copies.
  package init(offset: Int, stride: Int) { (self.offset, self.stride) = (offset, stride) }
}

/// Where a parameter lies: in which block, at which offset, in which shape. A vector has one row.
package struct Parameter: BitwiseCopyable, Sendable, Equatable {
  /// Whether it lies in the trainable block.
  package let isTrainable: Bool
  /// Its first element, counted from the start of its block.
  package let offset: Int
  /// How many rows.
  package let rows: Int
  /// How many columns.
  package let columns: Int
  /// In which precision products and look-ups read it. Frozen in bfloat16 it lies in the rounded block alone; trained
  /// in bfloat16 it lies in the trainable block, and rounded at the same offset of that block's copy.
  package let precision: Precision
  /// Where a transposed copy of it lies; nil where there is none.
  package var transpose: Transpose?
  /// How many numbers it has.
  package var count: Int { rows * columns }
  /// Whether there are no floats of it.
  package var isOnlyRounded: Bool { precision == .bf16 && !isTrainable }

  /// A parameter at a place.
  package init(
    isTrainable: Bool, offset: Int, rows: Int, columns: Int, precision: Precision = .fp32, transpose: Transpose? = nil
  ) {
    self.isTrainable = isTrainable
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.precision = precision
    self.transpose = transpose
  }
}

/// The layout of the two parameter blocks, frozen and trainable: every parameter with its name, offset and shape.
///
/// Each block is contiguous and without gaps, in the order of the specifications, so gradients and moments are one
/// array of the trainable block's length, and an all-reduce carries exactly the trainable numbers.
package struct ParameterTable: Sendable {
  /// A parameter with all that is known of it.
  package struct Entry: Sendable {
    /// Name, shape, start and treatment.
    package let specification: ParameterSpecification
    /// Where it lies.
    package let parameter: Parameter
  }

  /// A stretch of the trainable block that the optimiser treats alike.
  package struct Group: Sendable, Equatable {
    /// Offsets in the trainable block.
    package var range: Range<Int>
    /// Whether weight decay applies.
    package let decays: Bool
    /// What the learning rate is multiplied by.
    package let learningRateScale: Float
    /// In which precision products read it.
    package let precision: Precision
  }

  /// Every parameter, in order.
  package let entries: [Entry]
  /// How many floats the frozen block has.
  package let frozenCount: Int
  /// How many frozen numbers are kept in bfloat16 alone.
  package let roundedCount: Int
  /// How many numbers the trainable block has.
  package let trainableCount: Int
  /// How many bytes the transposed copies of frozen matrices take.
  package let transposeBytes: Int
  /// The stretches of the trainable block, in order; they cover it.
  package let groups: [Group]
  private let index: [String: Int]

  /// Lays parameters out in the order given.
  package init(_ specifications: [ParameterSpecification]) {
    var entries: [Entry] = []
    var index: [String: Int] = [:]
    var groups: [Group] = []
    var (frozen, rounded, trainable) = (0, 0, 0)
    let transposes = ParameterTable.transposes(of: specifications)
    for (number, specification) in specifications.enumerated() {
      precondition(index[specification.name] == nil, "two parameters are named \(specification.name)")
      index[specification.name] = entries.count
      let isRounded = specification.precision == .bf16 && !specification.isTrainable
      let offset = specification.isTrainable ? trainable : isRounded ? rounded : frozen
      let shape = specification.shape
      let rows = shape.count == 1 ? 1 : shape.dropLast().reduce(1, *)
      let parameter = Parameter(
        isTrainable: specification.isTrainable, offset: offset, rows: rows, columns: shape.last ?? 1,
        precision: specification.precision, transpose: transposes.places[number])
      entries.append(Entry(specification: specification, parameter: parameter))
      guard specification.isTrainable else {
        if isRounded { rounded += parameter.count } else { frozen += parameter.count }
        continue
      }
      trainable += parameter.count
      ParameterTable.extend(&groups, with: specification, offset..<trainable)
    }
    self.entries = entries
    self.index = index
    self.groups = groups
    frozenCount = frozen
    roundedCount = rounded
    trainableCount = trainable
    transposeBytes = transposes.bytes
  }

  /// Where transposed copies lie: those of matrices one after another, which may be factors of one product, side by side.
  private static func transposes(
    of specifications: [ParameterSpecification]
  ) -> (places: [Int: Transpose], bytes: Int) {
    var places: [Int: Transpose] = [:]
    var (bytes, start) = (0, 0)
    while start < specifications.count {
      let first = specifications[start]
      var end = start
      while end < specifications.count, specifications[end].isTransposed(beside: first) { end += 1 }
      let members = start..<end
      // Rows that are a multiple of a page apart would take each other's places in the nearest cache.
      let stride = (members.reduce(0) { $0 + specifications[$1].shape[0] } + 63) & ~31
      var offset = bytes
      for number in members {
        places[number] = Transpose(offset: offset, stride: stride)
        offset += specifications[number].shape[0] * first.precision.bytes
      }
      if !members.isEmpty { bytes += first.shape[1] * stride * first.precision.bytes }
      start = max(end, start + 1)
    }
    return (places, bytes)
  }

  private static func extend(
    _ groups: inout [Group], with specification: ParameterSpecification, _ range: Range<Int>
  ) {
    var group = Group(
      range: range, decays: specification.decays, learningRateScale: specification.learningRateScale,
      precision: specification.precision)
    if let last = groups.last, last.decays == group.decays, last.learningRateScale == group.learningRateScale,
      last.precision == group.precision
    {
      group.range = last.range.lowerBound..<range.upperBound
      groups.removeLast()
    }
    groups.append(group)
  }

  /// The entry of a name.
  package func entry(_ name: String) -> Entry? { index[name].map { entries[$0] } }

  /// Where a parameter lies; asking for a name that was never specified is a mistake of the program.
  package subscript(name: String) -> Parameter {
    guard let entry = entry(name) else { preconditionFailure("no parameter is named \(name)") }
    return entry.parameter
  }

  /// How many numbers there are, frozen and trainable.
  package var count: Int { frozenCount + roundedCount + trainableCount }

  /// The trained ones, in order.
  package var trainableEntries: [Entry] { entries.filter { $0.parameter.isTrainable } }

  /// The trained table of which a step looks up only some rows; nil where there is none.
  package var lookedUp: Parameter? { trainableEntries.first(where: \.specification.isLookedUp)?.parameter }
}
