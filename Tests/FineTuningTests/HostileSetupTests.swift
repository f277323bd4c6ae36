import BERT
import Failures
import FineTuning
import FoundationEssentials
import Testing

/// Configurations of adapters that nobody means well: one sentence each, that names what is wrong, and never a crash.
@Suite
struct HostileSetupTests {
  /// Decodes and lays out on a base, as opening a file does.
  static func use(_ json: String) throws {
    let configuration = try JSONDecoder().decode(AdapterConfiguration.self, from: Data(json.utf8))
    _ = try BottleneckAdapters(configuration).table(for: BERTConfiguration())
  }

  static let wrong: [(json: String, part: String)] = [
    (#"{"mh_adapter":"yes"}"#, "mh_adapter"), (#"{"output_adapter":null,"mh_adapter":3}"#, "mh_adapter"),
    (#"{"ln_after":[true]}"#, "ln_after"), (#"{"is_parallel":{}}"#, "is_parallel"),
    (#"{"non_linearity":7}"#, "non_linearity"), (#"{"non_linearity":"relu\u0000"}"#, "non_linearity"),
    (#"{"leave_out":"all"}"#, "leave_out"), (#"{"leave_out":[-1]}"#, "leave_out"),
    (#"{"leave_out":[1.5]}"#, "out of range"),
    (#"{"leave_out":[99999999999999999999]}"#, "out of range"), (#"{"leave_out":[12]}"#, "layer 12"),
    (#"{"leave_out":[9223372036854775807]}"#, "9223372036854775807"),
    (#"{"dropout":1}"#, "dropout"), (#"{"dropout":-0.1}"#, "dropout"), (#"{"dropout":1e300}"#, "out of range"),
    (#"{"dropout":"0.1"}"#, "dropout"), (#"{"scaling":1e300}"#, "scaling"), (#"{"scaling":[4]}"#, "scaling"),
    (#"{"reduction_factor":0}"#, "reduction_factor"), (#"{"reduction_factor":-16}"#, "reduction_factor"),
    (#"{"reduction_factor":1e-300}"#, "reduction_factor"), (#"{"reduction_factor":"16"}"#, "reduction_factor"),
    (#"{"reduction_factor":{"default":16,"3":0}}"#, "reduction_factor"),
    (#"{"reduction_factor":{"default":-1}}"#, "reduction_factor"), (#"{"reduction_factor":{"0":16}}"#, "layer 1"),
    (#"{"reduction_factor":{"default":16,"-1":16}}"#, "reduction_factor"),
    (#"{"reduction_factor":{}}"#, "reduction_factor"), (#"{"reduction_factor":[16]}"#, "reduction_factor"),
    (#"{"inv_adapter":"nice","inv_adapter_reduction_factor":0}"#, "inv_adapter_reduction_factor"),
    (#"{"inv_adapter":"nice","inv_adapter_reduction_factor":1e-300}"#, "inv_adapter_reduction_factor"),
    (#"{"inv_adapter":true}"#, "inv_adapter"), (#"{"init_weights":"mam"}"#, "init_weights"),
    (#"{"init_weights":1}"#, "init_weights"), (#"{"use_gating":"true"}"#, "use_gating"),
    (#"{"stochastic_depth":"x"}"#, "stochastic_depth"), (#"{"residual_before_ln":"after"}"#, "residual_before_ln"),
    (#"{"architecture":{}}"#, "architecture"), (#""compacter""#, "compacter"), ("[]", "configuration"),
    ("7", "configuration"), ("true", "configuration"),
  ]

  @Test(arguments: wrong.indices)
  func aSentence(_ index: Int) throws {
    let (json, part) = Self.wrong[index]
    let error = #expect(throws: Failure.self) { try Self.use(json) }
    let message = error?.message ?? ""
    #expect(message.contains(part) && message.hasSuffix(".") && !message.contains("\n"), "\(json): \(message)")
    #expect(error?.kind == .badContent || message.contains("--adapter-leave-out"))
  }

  /// What sound files have, however unusual.
  @Test(arguments: [
    "{}", #"{"unknown_key":[1,{"a":null}]}"#, #"{"reduction_factor":{"default":16,"99":4}}"#, #"{"scaling":-4}"#,
    #"{"reduction_factor":0.5}"#, #"{"reduction_factor":100000}"#, #"{"leave_out":[0,0,11]}"#, #"{"inv_adapter":null}"#,
    #"{"leave_out":null,"dropout":null}"#, #"{"scaling":0}"#,
  ])
  func taken(_ json: String) throws { try Self.use(json) }

  /// A trained file's options with a setup that makes no sense.
  @Test(arguments: [
    #"{"adapters":{"configurations":{},"composition":{"type":"single","children":["a"]},"fusion":"dynamic"}}"#,
    #"{"adapters":{"configurations":{"a":"pfeiffer"},"composition":{"type":"Stack","children":[]},"fusion":"dynamic"}}"#,
    #"{"adapters":{"configurations":{"a":"pfeiffer"},"composition":{"type":"Fuse","children":[{"type":"single","children":["a"]}]},"fusion":"dynamic"}}"#,
    #"{"adapters":{"configurations":{"a\u0000":"pfeiffer"},"composition":{"type":"single","children":["a\u0000"]},"fusion":"dynamic"}}"#,
    #"{"adapters":{"configurations":{"a":{"reduction_factor":0}},"composition":{"type":"single","children":["a"]},"fusion":"dynamic"}}"#,
    #"{"adapters":{"configurations":{"a":"seq_bn"},"composition":{"type":"single","children":["a"]},"fusion":"fast"}}"#,
  ])
  func setups(_ json: String) {
    let error = #expect(throws: Failure.self) {
      try JSONDecoder().decode(FineTuningOptions.self, from: Data(json.utf8))
    }
    #expect(error?.message.hasSuffix(".") == true)
  }

  /// A variant of a later version is not taken for LoRA's own.
  @Test(arguments: [#"{"lora_variant":"fast"}"#, #"{"lora_bias":"some"}"#])
  func unknownVariants(_ json: String) {
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(FineTuningOptions.self, from: Data(json.utf8)) }
  }

  /// A composition as deep as a file can make it is refused or taken, not a stack that overflows.
  @Test func deepCompositions() {
    let leaf = #"{"type":"single","children":["a"]}"#
    for depth in [50, 100_000] {
      let json =
        String(repeating: #"{"type":"Stack","children":["#, count: depth) + leaf
        + String(repeating: "]}", count: depth)
      let found = try? JSONDecoder().decode(Composition.self, from: Data(json.utf8))
      #expect(found == nil || found?.names == ["a"])
      #expect(depth > 50 || found != nil)
    }
  }

  /// Both adapters and what differs are named.
  @Test func differentPlaces() throws {
    var later = AdapterConfiguration.pfeiffer
    later.leaveOut = [0, 3]
    for (other, part) in [
      (AdapterConfiguration.houlsby, "after attention and the feed-forward block"), (later, "but in layers 0, 3"),
    ] {
      let error = #expect(throws: Failure.self) {
        try AdapterSetup(["ko": .pfeiffer, "task": other], .fuse(["ko", "task"]))
      }
      let message = error?.message ?? ""
      #expect(message.contains("adapters ko and task") && message.contains(part), "\(message)")
    }
  }

  /// Names that would end a tensor's name, a list or a line, or that no file would hold.
  @Test(arguments: [
    "", "a.b", "a,b", "ko/wiki", "a b", "a\nb", "a\u{0}", "a=b", "a\"", String(repeating: "n", count: 201),
  ])
  func names(_ name: String) {
    let error = #expect(throws: Failure.self) { try AdapterSetup([name: .pfeiffer], .single(name)) }
    #expect(error?.message.contains("cannot name an adapter") == true)
  }

  @Test(arguments: ["task", "ko-wiki", "한국어", "a_1", "nd@ukp"])
  func soundNames(_ name: String) throws {
    _ = try BottleneckAdapters(AdapterSetup([name: .pfeiffer], .single(name)), trained: [name])
      .table(for: BERTConfiguration())
  }
}
