import BERT
import FineTuning
import Tensors
import TestSupport
import Testing

/// Whatever head a model has, it is its method's own: trained in full, the base's pooler left alone, and never the
/// target of an update.
@Suite
struct HeadOwnershipTests {
  static let heads: [HeadDesign] = [.pooled, .flexible("task"), .flexible("query")]

  static func table(_ test: MethodCase, _ head: HeadDesign) throws -> ParameterTable {
    var configuration = TinyModel.configuration()
    configuration.head = head
    return try test.method.table(for: configuration)
  }

  static func isHead(_ name: String, _ head: HeadDesign) -> Bool {
    head == .pooled ? name.hasPrefix("classifier.") : name.hasPrefix(head.dense) || name.hasPrefix(head.classifier)
  }

  @Test(arguments: MethodCase.all, heads.indices)
  func trainedInFull(_ test: MethodCase, _ index: Int) throws {
    let head = Self.heads[index]
    let table = try Self.table(test, head)
    let own = table.entries.filter { Self.isHead($0.specification.name, head) }
    #expect(own.map(\.specification.name) == Array(table.entries.suffix(own.count)).map(\.specification.name))
    #expect(own.count == (head == .pooled ? 2 : 4) && own.allSatisfy { $0.parameter.isTrainable })
    // Nothing is added to the head.
    let added = try test.method.addedParameters(TinyModel.configuration()).map(\.name)
    #expect(added.allSatisfy { !HeadDesign.owns($0) })
  }

  /// A flexible head adds two maps of its own in the place of pooler and classifier; the rest is trained as before.
  @Test(arguments: MethodCase.all)
  func restIsTheSame(_ test: MethodCase) throws {
    let (pooled, flexible) = (try Self.table(test, .pooled), try Self.table(test, .flexible("task")))
    func rest(_ table: ParameterTable) -> [String] {
      table.trainableEntries.map(\.specification.name).filter {
        !HeadDesign.owns($0) && !$0.hasPrefix("bert.pooler.")
      }
    }
    #expect(rest(pooled) == rest(flexible))
    #expect(flexible.entries.allSatisfy { !$0.specification.name.hasPrefix("bert.pooler.") })
  }

  /// Names that only a head's modules end with are no targets.
  @Test(arguments: ["1", "4", "task.1", "heads.task.4"])
  func noTarget(_ target: String) throws {
    var configuration = TinyModel.configuration()
    configuration.head = .flexible("task")
    #expect(throws: (any Error).self) { try LoRA(loraRank: 2, targets: [target]).table(for: configuration) }
    let all = try LoRA(loraRank: 2, targets: ["all-linear", "query"]).addedParameters(configuration).map(\.name)
    #expect(all.count == 24 && all.allSatisfy { $0.hasPrefix("bert.encoder.layer.") })
  }

  /// A few steps train such a head and what the method trains, and no bit of what is frozen.
  @Test(arguments: MethodCase.all)
  func steps(_ test: MethodCase) throws {
    var configuration = TinyModel.configuration()
    configuration.head = .flexible("task")
    let model = TinyModel(configuration, table: try test.method.table(for: configuration)) {
      test.method.model($0, $1)
    }
    test.method.completeInitialization(of: Set(model.table.entries.map(\.specification.name)), in: model.store)
    let (frozen, before) = (model.frozenBits, model.trainableValues)
    model.train(3)
    #expect(model.frozenBits == frozen && model.isIntactAround)
    for name in ["heads.task.1.weight", "heads.task.1.bias", "heads.task.4.weight", "heads.task.4.bias"] {
      let parameter = model.table[name]
      let range = parameter.offset..<parameter.offset + parameter.count
      #expect(zip(before[range], model.trainableValues[range]).allSatisfy { $0 != $1 }, "\(name) was trained")
    }
  }
}
