package import Tensors

/// The order in which a backward pass completes the gradients of a trainable block: the head's, each layer's from the
/// last one down, then all else.
///
/// A pass says through `Workspace.completed` that everything up to a stage will not change any more, so that it can be
/// sent to other ranks while backward goes on below.
package struct BackwardStages: Sendable {
  /// The stage of the head.
  package static let head = 0
  /// `[stages]`: offsets in the trainable block, in order and apart; together they cover it.
  package let ranges: [[Range<Int>]]

  /// The stage of a layer, of so many.
  package static func layer(_ index: Int, of count: Int) -> Int { count - index }

  /// The stages of a model over a table. A parameter belongs to the layer that its name has; what has none and is not
  /// the head's counts as completed last.
  package init(_ configuration: BERTConfiguration, _ table: ParameterTable) {
    let layers = configuration.layerCount
    var ranges = [[Range<Int>]](repeating: [], count: layers + 2)
    for entry in table.trainableEntries {
      let name = entry.specification.name
      var stage = layers + 1
      if let layer = PublishedName.layer(in: name)?.number, layer < layers {
        stage = BackwardStages.layer(layer, of: layers)
      } else if [configuration.head.dense, configuration.head.classifier, "cls."].contains(where: name.hasPrefix) {
        stage = BackwardStages.head
      }
      let range = entry.parameter.offset..<entry.parameter.offset + entry.parameter.count
      if let last = ranges[stage].last, last.upperBound == range.lowerBound {
        ranges[stage][ranges[stage].count - 1] = last.lowerBound..<range.upperBound
      } else {
        ranges[stage].append(range)
      }
    }
    self.ranges = ranges
  }
}
