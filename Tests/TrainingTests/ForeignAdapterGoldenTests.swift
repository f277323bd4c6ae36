import BERT
import Exchange
import FineTuning
import Foundation
import Kernels
import TestSupport
import Testing

/// Folders that PEFT and AdapterHub's library wrote, opened as `import` opens them: the logits are the libraries'.
@Suite(.enabled(if: Fixtures.areAvailable))
struct ForeignAdapterGoldenTests {
  /// Folders of the fixtures, and the goldens that belong to them.
  static let cases: [(folder: String, golden: String)] = [
    ("peft/lora", "peft_lora"), ("peft/lora_bin", "peft_lora"), ("peft/rslora", "peft_rslora"),
    ("peft/dora", "peft_dora"), ("peft/lora_all_linear", "peft_lora_all_linear"),
    ("adapterhub/ah_lora", "ah_lora"), ("adapterhub/ah_dora", "ah_dora"), ("adapterhub/ia3", "ah_ia3"),
    ("adapterhub/prefix_tuning", "ah_prefix_tuning"), ("adapterhub/pfeiffer", "ah_pfeiffer"),
    ("adapterhub/pfeiffer_safetensors", "ah_pfeiffer"), ("adapterhub/houlsby", "ah_houlsby"),
    ("adapterhub/parallel", "ah_parallel"), ("adapterhub/scaled_parallel", "ah_scaled_parallel"),
    ("adapterhub/seq_bn_lnafter", "ah_seq_bn_lnafter"), ("adapterhub/seq_bn_noresid", "ah_seq_bn_noresid"),
    ("adapterhub/setup_stack", "ah_stack"), ("adapterhub/lang_ko", "ah_lang_only"),
    ("adapterhub/legacy_lang_ko", "ah_legacy_lang"), ("adapterhub/legacy_lang_ko_noprefix", "ah_legacy_lang"),
    ("adapterhub/flex_task", "ah_flex_head"),
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
