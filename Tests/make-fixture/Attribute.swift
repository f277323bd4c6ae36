import Checkpoints

/// Copies a file of ours, under a seal of its own, with another text in one attribute.
func copy(_ path: String, to target: String, withAttribute changed: String, _ text: String) throws {
  let file = try TensorFile(opening: path)
  let writer = try TensorFileWriter(
    to: target, file.kind, producer: "tests", expectedByteCount: file.byteCount, step: file.step)
  for name in [
    "configuration", "tokenizer", "run_state", "base_sha256", "base_form_sha256", "data_sha256", "content_sha256",
  ] where file.hasAttribute(name) {
    try writer.setText(name, name == changed ? text : file.text(name))
  }
  for group in [TensorSchema.tensors, TensorSchema.firstMoment, TensorSchema.secondMoment] {
    for entry in try file.entries(group) {
      var values = [Float](repeating: 0, count: entry.count)
      try values.withUnsafeMutableBufferPointer { try file.read(entry.name, in: group, into: $0) }
      try values.withUnsafeBufferPointer { try writer.write(entry.name, in: group, shape: entry.shape, $0) }
    }
  }
  for name in try file.fileNames() { try writer.writeFile(name, try file.bytes(name)) }
  _ = try writer.publish()
}
