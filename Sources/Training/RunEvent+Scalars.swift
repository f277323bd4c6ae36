internal import FoundationEssentials
internal import JSON

/// A run's events as TensorBoard has them: every number of an event under a tag.
extension RunEvent {
  /// The step that an event belongs to.
  var step: Int {
    switch self {
    case .step(let event): event.step
    case .epoch(let event): event.step
    case .evaluation(let event): event.step
    case .skipped(let event): event.step
    }
  }

  /// What tags begin with.
  private var group: String {
    switch self {
    case .step: "train"
    case .epoch: "epoch"
    case .evaluation(let event): event.split
    case .skipped: "skipped"
    }
  }

  /// The numbers of the event but its place, by the names that they have in `metrics.jsonl`, in the order of the names.
  var scalars: [(tag: String, value: Double)] {
    guard let data = try? JSONEncoder().encode(self),
      let values = try? JSONDecoder().decode([String: JSONValue].self, from: data)
    else { return [] }
    return values.sorted { $0.key < $1.key }.compactMap { name, value in
      guard let number = value.number, name != "step", name != "epoch" else { return nil }
      return ("\(group)/\(name)", number)
    }
  }
}
