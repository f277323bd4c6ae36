import BERT
import FineTuning
import Tensors
import TestSupport
import Testing

/// One body of tests over all methods that are registered.
@Suite
struct MethodTests {
  @Test
  func everyMethodHasACase() {
    #expect(Set(MethodCase.all.map(\.method.name)) == Set(FineTuningMethods.names))
    #expect(Set(FineTuningMethods.names).count == FineTuningMethods.names.count)
    #expect(
      Set(FineTuningMethods.names).isSuperset(of: [
        "full", "linear-probe", "bitfit", "lora", "ia3", "prefix-tuning", "adapter", "fusion",
      ]))
  }

  /// Stacks and fusions are among the cases of the methods that take them, with nothing trained before and with one.
  @Test
  func everySetupHasACase() {
    let found = MethodCase.all.compactMap { test in
      test.method.settings["adapter_setup"].map { [test.method.name, $0, test.method.settings["trained"] ?? ""] }
    }
    for setup in AdapterSetups.all {
      let fuses = !setup.setup.composition.fusions.isEmpty
      let trained = (setup.trained.sorted() + (fuses ? ["fusion", "head"] : ["head"])).joined(separator: ", ")
      #expect(found.contains([fuses ? "fusion" : "adapter", setup.setup.composition.description, trained]))
    }
    #expect(AdapterSetups.all.count == 8)
  }

  @Test(arguments: MethodCase.all)
  func description(_ test: MethodCase) {
    #expect(FineTuningMethods.names.contains(test.method.name))
    #expect(test.method.defaultLearningRate > 0 && test.method.defaultLearningRate < 0.1)
    #expect(test.method.settings.values.allSatisfy { !$0.isEmpty })
  }

  /// The base's own parameters under their names, then the method's, then the head; nothing twice, nothing left out.
  @Test(arguments: MethodCase.all)
  func table(_ test: MethodCase) throws {
    let configuration = TinyModel.configuration()
    let names = try test.method.table(for: configuration).entries.map(\.specification.name)
    let base = configuration.parameters { _ in false }.map(\.name)
    let added = try test.method.addedParameters(configuration).map(\.name)
    #expect(names == base.dropLast(2) + added + ["classifier.weight", "classifier.bias"])
    #expect(Set(names).count == names.count)
  }

  @Test(arguments: MethodCase.all)
  func trainableCount(_ test: MethodCase) throws {
    var shapes = [TinyModel.configuration(), TinyModel.configuration(layers: 3)]
    shapes[1].labelCount = 5
    var multilingual = BERTConfiguration()
    multilingual.vocabularySize = 119_547
    shapes.append(multilingual)
    for shape in shapes {
      let expected = try #require(
        MethodCase.trainableCount(test.method, shape), "a formula for \(test.method.name)")
      let table = try test.method.table(for: shape)
      #expect(table.trainableCount == expected)
      let added = try test.method.addedParameters(shape).reduce(0) { $0 + $1.count }
      let base = shape.parameters { _ in false }.reduce(0) { $0 + $1.count }
      #expect(table.count == base + added)
    }
  }

  /// Published figures for multilingual BERT with two classes.
  @Test(arguments: [
    ("full", 177_854_978), ("linear-probe", 1538), ("bitfit", 104_450), ("lora", 589_824 + 1538),
    ("ia3", 55_296 + 1538), ("prefix-tuning", 9_872_384 + 1538), ("adapter", 894_528 + 1538),
  ])
  func multilingualBERT(_ name: String, _ count: Int) throws {
    var configuration = BERTConfiguration()
    configuration.vocabularySize = 119_547
    let method = try FineTuningMethods.method(named: name, FineTuningOptions())
    #expect(try method.table(for: configuration).trainableCount == count)
  }

  /// Some steps move every tensor that is trained and no bit of what is frozen, and write nothing beside the blocks.
  @Test(arguments: MethodCase.all)
  func stepsChangeWhatIsTrained(_ test: MethodCase) throws {
    let model = try test.model()
    let (frozen, before) = (model.frozenBits, model.trainableValues)
    model.train(4)
    #expect(model.frozenBits == frozen)
    #expect(model.isIntactAround)
    let after = model.trainableValues
    #expect(after.allSatisfy { $0.isFinite })
    for entry in model.table.trainableEntries {
      let range = entry.parameter.offset..<entry.parameter.offset + entry.parameter.count
      #expect(before[range] != after[range], "\(entry.specification.name) was trained")
    }
    #expect(model.gradientValues.allSatisfy { $0 == 0 })
  }

  /// With dropout on, and the added parameters away from their start, where the gradients of some are zero.
  @Test(arguments: MethodCase.all.filter(\.isDifferentiated))
  func gradients(_ test: MethodCase) throws {
    let model = try test.variedModel()
    let added = Set(try test.method.addedParameters(model.configuration).map(\.name))
    let trained = model.table.trainableEntries.map(\.specification.name)
    let own = trained.filter { added.contains($0) || $0.hasPrefix("classifier.") }
    // Every base parameter has its test among BERT's; here a few show that the method leaves them right.
    let others = trained.filter { !own.contains($0) }
    expectCentralDifferences(
      model, TinyModel.reviews, names: own + stride(from: 0, to: others.count, by: 7).map { others[$0] })
    #expect(model.isIntactAround)
  }

  /// A hundred steps on four reviews learn them: whatever is trained, the classifier reads 24 features of each. The
  /// square matrices of a fusion take smaller steps.
  @Test(arguments: MethodCase.all)
  func learns(_ test: MethodCase) throws {
    let model = try test.model()
    let before = model.evaluationLoss(TinyModel.reviews)
    if test.method is AdapterFusion {
      model.train(250, learningRate: 4e-3)
    } else {
      model.train(100)
    }
    let after = model.evaluationLoss(TinyModel.reviews)
    #expect(after < 0.6 * before, "from \(before) to \(after)")
  }

  /// Logits of a review do not depend on its batch mates: what a method adds has no padding and masks of its own.
  @Test(arguments: MethodCase.all)
  func batchMates(_ test: MethodCase) throws {
    let model = try test.variedModel()
    let together = model.logits(TinyModel.reviews)
    for (review, logits) in zip(TinyModel.reviews, together) {
      expectClose(model.logits([review])[0], logits, absolute: 2e-6)
    }
  }

  /// A method that adds nothing starts as the base; not to the last bit, since products may read frozen matrices in
  /// another order than trained ones.
  @Test(arguments: MethodCase.all)
  func startsFromTheBase(_ test: MethodCase) throws {
    let model = try test.model()
    guard try test.method.addedParameters(model.configuration).isEmpty else { return }
    let base = TinyModel(model.configuration)
    for (logits, expected) in zip(model.logits(TinyModel.reviews), base.logits(TinyModel.reviews)) {
      expectClose(logits, expected, absolute: 2e-6)
    }
  }

  /// What the model promises to need suffices for what the method adds, too.
  @Test(arguments: MethodCase.all)
  func memory(_ test: MethodCase) throws {
    for lengths in [[Int](repeating: 1, count: 600), [Int](repeating: 20, count: 30)] {
      let configuration = TinyModel.configuration()
      let table = try test.method.table(for: configuration)
      let promised = test.method.model(configuration, table).arenaBytes(
        tokens: lengths.reduce(0, +), reviews: lengths.count, longest: lengths[0])
      let model = TinyModel(configuration, table: table, arenaBytes: 4 * promised) {
        test.method.model($0, $1)
      }
      let losses = model.addGradients(TinyReview.reviews(lengths: lengths, labelCount: 3))
      #expect(losses.allSatisfy { $0.isFinite } && model.gradientValues.allSatisfy { $0.isFinite })
      #expect(model.workspace.arena.peak <= promised)
      #expect(model.workspace.arena.peak >= model.model.leastArenaBytes(tokens: lengths.reduce(0, +)))
    }
  }
}
