import BERT
import Exchange
import FineTuning
import Foundation
import TestSupport
import Testing

/// Folders that PEFT and AdapterHub's library wrote, opened as `import` opens them: the logits are the libraries'.
@Suite(.enabled(if: Fixtures.areAvailable))
struct ForeignAdapterGoldenTests {
  static let cases: [(folder: String, golden: String)] =
    ["lora", "lora_bin", "lora_minimal_config", "rslora", "dora", "lora_all_linear"].map { name in
      ("peft/" + name, ["lora_bin", "lora_minimal_config"].contains(name) ? "peft_lora" : "peft_" + name)
    }
    + ["ah_lora", "ah_dora"].map { ("adapterhub/" + $0, $0) }
    + [
      "pfeiffer", "houlsby", "parallel", "scaled_parallel", "seq_bn_lnafter", "seq_bn_noresid", "ia3",
      "prefix_tuning",
    ].map { ("adapterhub/" + $0, "ah_" + $0) }
    + [
      ("adapterhub/pfeiffer_safetensors", "ah_pfeiffer"), ("adapterhub/setup_stack", "ah_stack"),
      ("adapterhub/lang_ko", "ah_lang_only"), ("adapterhub/legacy_lang_ko", "ah_legacy_lang"),
      ("adapterhub/legacy_lang_ko_noprefix", "ah_legacy_lang"), ("adapterhub/flex_task", "ah_flex_head"),
    ]

  private func logits(of adapter: ForeignAdapter) throws -> [Float] {
    let method = try FineTuningMethods.method(named: adapter.method, adapter.options)
    let model = try GoldenModel(method, files: [], head: adapter.head ?? .pooled, source: adapter)
    return model.logits()
  }

  private func base() throws -> BERTConfiguration {
    try BERTConfiguration(json: Data(Fixtures.bytes("fixtures/ckpt/seqcls/config.json")), source: "seqcls")
  }

  @Test(arguments: cases)
  func logitsAreTheLibraries(_ folder: String, _ golden: String) throws {
    let adapter = try ForeignAdapter(opening: Fixtures.path("fixtures/" + folder))
    try adapter.check(against: base())
    expectClose(try logits(of: adapter), try Fixtures.golden(golden).floats("logits"), absolute: 5e-6, folder)
  }

  /// A fusion's folder with its adapters beside it, as `save_all_adapters` and `save_all_adapter_fusions` leave them.
  @Test(arguments: [("fusion_ab", "ah_fuse"), ("fusion_static", "ah_fuse_static")])
  func fusionBesideItsAdapters(_ folder: String, _ golden: String) throws {
    try withTemporaryDirectory { directory in
      for (name, source) in [("a", "task_a"), ("b", "task_b"), ("a,b", folder)] {
        try FileManager.default.copyItem(
          atPath: Fixtures.path("fixtures/adapterhub/" + source), toPath: directory.path(name))
      }
      let adapter = try ForeignAdapter(opening: directory.path("a,b"))
      try adapter.check(against: base())
      #expect(adapter.method == "fusion")
      expectClose(try logits(of: adapter), try Fixtures.golden(golden).floats("logits"), absolute: 5e-6, folder)
    }
  }

  /// Of the adapter of 2020, the file's own rule for `gelu` and, where asked, the block's own non-linearity.
  @Test
  func oldLanguageAdapter() throws {
    let adapter = try ForeignAdapter(opening: Fixtures.path("fixtures/adapterhub/legacy_lang_ko"))
    let configuration = try #require(adapter.options.adapters?.configurations["ko"])
    #expect(configuration.activation == .geluTanh)
    #expect(configuration.invertibleReduction == 2)
    #expect(adapter.head == nil && adapter.labels.isEmpty)
  }
}
