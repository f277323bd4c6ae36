import BERT
import Failures
import FineTuning
import TestSupport
import Testing

/// Options that make no sense are refused with one sentence that names the option, before anything is computed.
@Suite
struct RefusalTests {
  typealias Change = @Sendable (inout FineTuningOptions) -> Void

  struct Case: Sendable, CustomStringConvertible {
    let method: String
    let option: String
    let change: Change
    let description: String

    init(_ method: String, _ option: String, _ value: String, _ change: @escaping Change) {
      self.method = method
      self.option = option
      self.change = change
      description = "\(option) \(value)"
    }
  }

  static let cases: [Case] = {
    var list: [Case] = []
    for value in [0, -3, .max, .min] {
      list += [
        Case("lora", "--lora-rank", "\(value)") { $0.loraRank = value },
        Case("prefix-tuning", "--prefix-length", "\(value)") { $0.prefixLength = value },
        Case("prefix-tuning", "--prefix-bottleneck", "\(value)") { $0.prefixBottleneck = value },
      ]
    }
    for value in [0, -1, .nan, .infinity, 1e300] {
      list.append(Case("lora", "--lora-alpha", "\(value)") { $0.loraAlpha = value })
    }
    for value: Float in [1, -0.1, .nan] {
      list.append(Case("lora", "--lora-dropout", "\(value)") { $0.loraDropout = value })
    }
    for value: Float in [0, -1, .nan, .infinity] {
      list.append(Case("lora", "--lora-plus-ratio", "\(value)") { $0.loraPlusRatio = value })
    }
    for value in [[], [-1], [0, 2], [.max]] {
      list.append(Case("lora", "--lora-layers", "\(value)") { $0.loraLayers = value })
    }
    for value in [[], ["nothing"], ["query", "classifier"]] {
      list.append(Case("lora", "--lora-targets", "\(value)") { $0.loraTargets = value })
    }
    for value in [0, -2, .nan, .infinity, 1e-9, 1e-300] {
      list.append(
        Case("adapter", "--adapter-reduction-factor", "\(value)") {
          $0.adapterReductionFactor = AdapterConfiguration.Reduction(value)
        })
      list.append(
        Case("adapter", "--adapter-reduction-factor", "\(value) in layer 1") {
          $0.adapterReductionFactor = AdapterConfiguration.Reduction(16, byLayer: [1: value])
        })
    }
    for value: Float in [-0.01, .nan, .infinity] {
      list.append(
        Case("fusion", "--fusion-regularization", "\(value)") {
          $0.adapters = try? AdapterSetup(["a": .pfeiffer, "b": .pfeiffer], .fuse(["a", "b"]))
          $0.fusionRegularization = value
        })
    }
    return list + [
      Case("adapter", "--adapter-config", "none") { $0.adapterConfiguration = "none" },
      Case("adapter", "--adapter-config", "an open bracket") { $0.adapterConfiguration = "pfeiffer[ln_after=true" },
      Case("adapter", "--adapter-config", "no value") { $0.adapterConfiguration = "pfeiffer[ln_after]" },
      Case("adapter", "--adapter-config", "no key of the library") { $0.adapterConfiguration = "pfeiffer[norm=true]" },
      Case("adapter", "--adapter-config", "a wrong kind") { $0.adapterConfiguration = "pfeiffer[ln_after=7]" },
      Case("adapter", "--adapter-config", "letters and others") {
        $0.adapterConfiguration = "pfeiffer[non_linearity=re!lu]"
      },
      Case("adapter", "--adapter-config", "a key that has an option") {
        $0.adapterConfiguration = "pfeiffer[leave_out=0]"
      },
      Case("adapter", "--adapter-config", "a key twice") { $0.adapterConfiguration = "pfeiffer[dropout=0,dropout=0]" },
      Case("adapter", "--adapter-config", "nowhere") { $0.adapterConfiguration = "pfeiffer[output_adapter=false]" },
      Case("adapter", "--adapter-activation", "mish") { $0.adapterActivation = "mish" },
    ]
  }()

  @Test(arguments: cases)
  func refused(_ test: Case) {
    var options = FineTuningOptions()
    test.change(&options)
    #expect {
      _ = try FineTuningMethods.method(named: test.method, options).table(for: TinyModel.configuration())
    } throws: { error in
      guard let failure = error as? Failure else { return false }
      return failure.kind == .usage && failure.message.hasPrefix(test.option) && failure.message.hasSuffix(".")
        && !failure.message.contains("\n")
    }
  }

  @Test(arguments: ["lorra", "", "LoRA", "full "])
  func unknownMethod(_ name: String) {
    #expect {
      try FineTuningMethods.method(named: name, FineTuningOptions())
    } throws: { error in
      guard let failure = error as? Failure else { return false }
      return failure.kind == .usage && failure.message.contains("--method is \"\(name)\"")
        && FineTuningMethods.names.allSatisfy { failure.message.contains($0) }
    }
  }

  /// A fusion needs adapters, and two of them; one adapter's method takes no fusion. Each says what to do.
  @Test
  func fusions() throws {
    func refusal(_ method: String, _ setup: AdapterSetup?, trained: [String] = []) -> String {
      var options = FineTuningOptions()
      (options.adapters, options.trainedAdapters) = (setup, trained)
      let failure = #expect(throws: Failure.self) { try FineTuningMethods.method(named: method, options) }
      #expect(failure?.kind == .usage)
      return failure?.message ?? ""
    }
    let both = ["a": AdapterConfiguration.pfeiffer, "b": .pfeiffer]
    let fused = try AdapterSetup(both, .fuse(["a", "b"]))
    let stacked = try AdapterSetup(both, .stack([.single("a"), .single("b")]))
    #expect(refusal("fusion", nil).contains("--fuse"))
    #expect(refusal("fusion", stacked).contains("--fuse") && refusal("fusion", stacked).contains("Stack(a, b)"))
    #expect(refusal("adapter", fused).contains("--method fusion") && refusal("adapter", fused).contains("Fuse(a, b)"))
    #expect(refusal("fusion", fused, trained: ["c"]).contains("adapter c "))
    #expect(refusal("adapter", stacked, trained: ["a", "task"]).contains("adapter task "))
  }

  /// A method takes no notice of another one's options.
  @Test(arguments: ["full", "linear-probe", "bitfit", "ia3"])
  func othersOptions(_ name: String) throws {
    var options = FineTuningOptions()
    (options.loraRank, options.prefixLength, options.adapterConfiguration) = (0, 0, "none")
    _ = try FineTuningMethods.method(named: name, options).table(for: TinyModel.configuration())
  }
}
