import Failures
import Interchange
import TestSupport
import Testing

/// Files that the Python libraries wrote.
@Suite(.enabled(if: Fixtures.areAvailable)) struct PublishedFilesTests {
  static let odd = "fixtures/ckpt/odd_pickles/"

  @Test func goldenFilesAreRead() throws {
    let full = try Fixtures.golden("full")
    expectClose(try full.floats("logits"), try full.doubles("logits_f64"), absolute: 5e-6)
    #expect(full.names(under: "grad/").count == 5 + 16 * 3 + 4)
    let inputs = try Fixtures.golden("inputs")
    #expect(inputs.tensors.values.contains { !$0.integers.isEmpty })
  }

  @Test(arguments: ["odd_zip.bin", "odd_legacy.bin", "odd_nested_zip.bin"])
  func viewsStridesAndElementTypesAgree(file: String) throws {
    let archive = try TensorArchive(
      opening: Fixtures.path(PublishedFilesTests.odd + file), unwrapping: ["state_dict", "model"])
    let expected = try TensorArchive(
      opening: Fixtures.path(PublishedFilesTests.odd + "odd_expected.safetensors"))
    #expect(Set(archive.entries.map(\.name)) == Set(expected.entries.map(\.name)))
    for entry in expected.entries {
      #expect(archive.entry(named: entry.name) == entry)
      if entry.element.isInteger {
        #expect(try archive.integers(entry.name) == expected.integers(entry.name))
      } else {
        #expect(try archive.doubles(entry.name) == expected.doubles(entry.name))
        #expect(try archive.floats(entry.name) == expected.doubles(entry.name).map { Float($0) })
      }
    }
  }

  @Test func nestedTensorsAreUnwrappedOnlyOnRequest() throws {
    let path = try Fixtures.path(PublishedFilesTests.odd + "odd_nested_zip.bin")
    expectFailure(.badContent, "its tensors lie under 'model'") { try TensorArchive(opening: path) }
  }

  @Test func evilPickleIsRefused() throws {
    let path = try Fixtures.path(PublishedFilesTests.odd + "evil_zip.bin")
    expectFailure(.badContent, "'posix system'") { try TensorArchive(opening: path) }
  }

  @Test(arguments: [
    "pretraining_gamma_beta", "seqcls", "seqcls_bf16", "seqcls_bin", "seqcls_bin_legacy", "bertmodel_sharded",
    "pretraining",
  ])
  func checkpointsHaveTheEncoder(name: String) throws {
    let checkpoint = try CheckpointDirectory(opening: Fixtures.path("fixtures/ckpt/\(name)"))
    let names = checkpoint.weights.entries.map(\.name)
    #expect(names.filter { $0.hasPrefix("bert.") }.count == 5 + 16 * 3 + 2)
    for entry in checkpoint.weights.entries {
      #expect(
        entry.name.hasPrefix("bert.") || entry.name.hasPrefix("classifier.") || entry.name.hasPrefix("cls."))
      #expect(!entry.name.hasSuffix("gamma") && !entry.name.hasSuffix("beta"))
      #expect(try checkpoint.weights.floats(entry.name).count == entry.elementCount)
    }
    #expect(!names.contains("cls.predictions.decoder.weight"))
    #expect(checkpoint.configuration.first == UInt8(ascii: "{"))
  }

  /// Each container against the checkpoint that it was made from; F16 and BF16 round to 11 and 8 bits.
  @Test(arguments: [
    ("seqcls_bin", "seqcls", 0.0), ("seqcls_bin_legacy", "seqcls", 0x1p-11),
    ("seqcls_bf16", "seqcls", 0x1p-8),
    ("bertmodel_sharded", "pretraining", 0), ("pretraining_gamma_beta", "pretraining", 0x1p-11),
  ])
  func containersHoldTheSameWeights(name: String, original: String, rounding: Double) throws {
    let weights = try CheckpointDirectory(opening: Fixtures.path("fixtures/ckpt/\(name)")).weights
    let expected = try CheckpointDirectory(opening: Fixtures.path("fixtures/ckpt/\(original)")).weights
    if name != "bertmodel_sharded" { #expect(weights.entries.count == expected.entries.count) }
    for entry in weights.entries {
      #expect(entry.shape == expected.entry(named: entry.name)?.shape)
      expectClose(
        try weights.floats(entry.name), try expected.floats(entry.name), relative: rounding,
        absolute: rounding == 0 ? 0 : 0x1p-25, entry.name)
    }
  }

  @Test(arguments: [
    "adapterhub/task/pytorch_adapter.bin", "adapterhub/legacy_lang_ko/pytorch_adapter.bin",
    "adapterhub/legacy_lang_ko_noprefix/pytorch_adapter.bin", "adapterhub/compacter/pytorch_adapter.bin",
    "adapterhub/pfeiffer_safetensors/adapter.safetensors",
    "adapterhub/fusion_ab/pytorch_model_adapter_fusion.bin",
    "peft/lora_bin/adapter_model.bin", "peft/dora/adapter_model.safetensors",
  ])
  func adaptersAreRead(file: String) throws {
    let archive = try TensorArchive(opening: Fixtures.path("fixtures/" + file))
    #expect(!archive.entries.isEmpty)
    for entry in archive.entries {
      #expect(try archive.floats(entry.name).contains { $0 != 0 && $0.isFinite }, "\(entry.name)")
    }
  }

  /// The writer's layout is that of the reference implementation, byte for byte.
  @Test(arguments: [
    "ckpt/seqcls/model.safetensors", "ckpt/seqcls_bf16/model.safetensors",
    "ckpt/pretraining/model.safetensors",
    "ckpt/bertmodel_sharded/model-00001-of-00003.safetensors", "peft/lora/adapter_model.safetensors",
    "peft/dora/adapter_model.safetensors",
  ])
  func writingGivesTheSameBytes(file: String) throws {
    let path = try Fixtures.path("fixtures/" + file)
    let archive = try TensorArchive(opening: path)
    try withTemporaryDirectory { directory in
      let copy = directory.path("copy.safetensors")
      try SafeTensors.write(archive.entries.shuffled(), to: copy) { try archive.read($0.name, into: $1) }
      #expect(try InputFile.contents(of: copy) == InputFile.contents(of: path))
    }
  }
}
