import FoundationEssentials
import Interchange
import JSON
import TestSupport
import Testing

/// Numbers that differ from tensor to tensor and from element to element.
func sampleSource(_ entry: TensorEntry, _ destination: UnsafeMutableBufferPointer<Float>) {
  let seed = entry.name.utf8.reduce(7) { ($0 &* 31 &+ Int($1)) & 0xFFFF }
  for index in destination.indices { destination[index] = Float((seed + 3 * index) % 997) / 997 - 0.5 }
}

/// The numbers that ``sampleSource(_:_:)`` gives.
func sampleNumbers(_ entry: TensorEntry) -> [Float] {
  [Float](unsafeUninitializedCapacity: entry.elementCount) { buffer, count in
    buffer.initialize(repeating: 0)
    sampleSource(entry, UnsafeMutableBufferPointer(rebasing: buffer[..<entry.elementCount]))
    count = entry.elementCount
  }
}

/// A small encoder.
let smallShape = EncoderShape(
  hiddenSize: 8, intermediateSize: 12, layerCount: 3, vocabularySize: 20, positionCount: 16)

/// The members of an object by key, so that two can be compared whatever their order.
func membersByKey(_ value: JSONValue?) -> [String: JSONValue] {
  guard case .object(let members) = value else { return [:] }
  return Dictionary(members.map { ($0.key, $0.value) }) { first, _ in first }
}

/// The same document with another value for a key, or without it where the value is nil.
func replacing(_ key: String, _ value: JSONValue?, in document: JSONValue) -> JSONValue {
  guard case .object(var members) = document else { return document }
  members.removeAll { $0.key == key }
  if let value { members.append(.init(key: key, value: value)) }
  return .object(members)
}

/// Expects that two files hold the same tensors, bit for bit.
func expectSameTensors(
  _ actual: String, _ expected: String, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let (first, second) = (try TensorArchive(opening: actual), try TensorArchive(opening: expected))
  #expect(
    Set(first.entries.map(\.name)) == Set(second.entries.map(\.name)), sourceLocation: sourceLocation)
  for entry in second.entries {
    #expect(first.entry(named: entry.name) == entry, sourceLocation: sourceLocation)
    #expect(
      try first.floats(entry.name).map(\.bitPattern) == second.floats(entry.name).map(\.bitPattern),
      "\(entry.name)", sourceLocation: sourceLocation)
  }
}

extension TemporaryDirectory {
  /// Removes a file or a directory.
  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path(name)) }

  /// Writes a JSON document.
  func write(_ document: JSONValue, to name: String) throws { try write(document.fileBytes, to: name) }

  /// Writes a safetensors file of some tensors with sample numbers.
  func write(tensors: [TensorEntry], to name: String) throws {
    try write([UInt8](), to: name)
    try SafeTensors.write(tensors, to: path(name), source: sampleSource)
  }
}
