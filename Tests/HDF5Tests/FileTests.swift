import Failures
import Foundation
import Glibc
import HDF5
import Testing

@Suite struct FileTests {
  @Test func attributesRoundTrip() throws {
    let scratch = try Scratch()
    // 340 KB, beyond the 64 KB of old formats.
    let long = String(repeating: "설정 {\"a\": 1}\n", count: 20_000)
    let file = try HDF5File.create(scratch.path("a.h5"))
    try file.createGroup("/g")
    for (name, text) in [("empty", ""), ("korean", "한국어 😀"), ("long", long)] {
      try file.setAttribute(name, text)
      try file.setAttribute(name, text, on: "/g")
    }
    try file.setAttribute("whole", Int64.min)
    try file.setAttribute("number", 1.0 / 3)
    #expect(throws: HDF5Error.self) { try file.setAttribute("nul", "a\0b") }
    #expect(throws: HDF5Error.self) { try file.setAttribute("whole", Int64(1)) }
    try file.close()

    let read = try HDF5File.open(scratch.path("a.h5"))
    #expect(try read.attributeNames() == ["empty", "korean", "long", "number", "whole"])
    #expect(try read.attributeNames(on: "/g") == ["empty", "korean", "long"])
    for object in ["/", "/g"] {
      #expect(try read.stringAttribute("empty", on: object) == "")
      #expect(try read.stringAttribute("korean", on: object) == "한국어 😀")
      #expect(try read.stringAttribute("long", on: object) == long)
    }
    #expect(try read.integerAttribute("whole") == .min)
    #expect(try read.doubleAttribute("number") == 1.0 / 3)
    let has = (
      read.hasAttribute("whole"), read.hasAttribute("half"), read.hasAttribute("whole", on: "/nowhere")
    )
    #expect(has == (true, false, false))
    #expect(throws: HDF5Error(.missing, path: read.path, object: "half", "the attribute is not in the file")) {
      try read.integerAttribute("half")
    }
    #expect(throws: HDF5Error.self) { try read.integerAttribute("number") }
    #expect(throws: HDF5Error.self) { try read.stringAttribute("number") }
    #expect(throws: HDF5Error.self) { try read.doubleAttribute("korean") }
  }

  @Test func linksAreInTheOrderOfMaking() throws {
    let scratch = try Scratch()
    let file = try HDF5File.create(scratch.path("a.h5"))
    let names = (0..<300).map { "layer.\($0 * 7919 % 300).weight" }
    for name in names { try file.createDataset("/tensors/deep/\(name)", shape: [1], .float32) }
    try file.createGroup("/tensors/deep")
    #expect(try file.links(in: "/tensors/deep") == names.map { .init(name: $0, kind: .dataset) })
    #expect(try file.links(in: "/tensors") == [.init(name: "deep", kind: .group)])
    let exists = (file.exists("/tensors/deep/layer.0.weight"), file.exists("/tensors/deep/layer.300.weight"))
    #expect(exists == (true, false))
    #expect(throws: HDF5Error.self) { try file.links(in: "/tensors/deep/layer.0.weight") }
    #expect(throws: HDF5Error.self) { try file.links(in: "/nowhere") }
  }

  @Test func whatIsNotOursIsRefused() throws {
    let scratch = try Scratch()
    try writeBytes(ForeignFile.bytes, to: scratch.path("foreign.h5"))
    let file = try HDF5File.open(scratch.path("foreign.h5"))
    #expect(try file.values("/tensors/plain", as: Float.self) == [0, 1, 2, 3])
    for path in ["/soft", "/external", "/loop", "/loop/x"] {
      #expect(throws: HDF5Error.self, "\(path)") { try file.info(path) }
      let exists = file.exists(path)
      #expect(!exists)
    }
    for path in ["/tensors/outside", "/tensors/virtual", "/tensors/empty", "/tensors/t"] {
      #expect(throws: HDF5Error.self, "\(path)") { try file.info(path) }
    }
    for path in ["/tensors/big_endian", "/tensors/half"] {
      #expect(try file.info(path).kind == nil)
      #expect(throws: HDF5Error.self, "\(path)") { try file.values(path, as: Float.self) }
    }
    // 2^40 elements that were never written: not a reason to allocate 4 TiB.
    #expect(try file.info("/tensors/claims").storedByteCount == 0)
    #expect(throws: HDF5Error.self) { try file.values("/tensors/claims", as: Float.self) }
    #expect(throws: HDF5Error.self) { try file.stringAttribute("variable") }
    #expect(throws: HDF5Error.self) { try file.integerAttribute("int32") }
    #expect(throws: HDF5Error.self) { try file.integerAttribute("array") }
    let kinds = Dictionary(uniqueKeysWithValues: try file.links(in: "/").map { ($0.name, $0.kind) })
    #expect(kinds == ["tensors": .group, "soft": .other, "external": .other, "loop": .other])
  }

  @Test func unreadableFiles() throws {
    let scratch = try Scratch()
    func error(_ path: String) -> HDF5Error? {
      do { _ = try HDF5File.open(path) } catch { return error }
      return nil
    }
    #expect(error(scratch.path("none.h5"))?.cause == .unreadable(ENOENT))
    #expect(error(scratch.path("none.h5"))?.failure.kind == .noInput)
    #expect(error(scratch.directory)?.cause == .unreadable(EISDIR))
    try writeBytes(Array("not HDF5".utf8), to: scratch.path("text.h5"))
    #expect(error(scratch.path("text.h5"))?.cause == .library)
    #expect(error(scratch.path("text.h5"))?.description.hasPrefix(scratch.path("text.h5")) == true)
    try writeBytes([], to: scratch.path("empty.h5"))
    #expect(error(scratch.path("empty.h5"))?.cause == .library)
    do throws(HDF5Error) {
      _ = try HDF5File.create(scratch.path("nowhere/a.h5"))
      Issue.record("a file was created in a directory that does not exist")
    } catch {
      #expect(error.cause == .unwritable(ENOENT))
    }
  }

  @Test func truncatedFilesNeverCrash() throws {
    let scratch = try Scratch()
    let file = try HDF5File.create(scratch.path("a.h5"))
    try [Float](repeating: 1, count: 1000).withUnsafeBufferPointer {
      try file.write("/g/x", shape: [1000], $0)
    }
    try file.close()
    let bytes = try readBytes(scratch.path("a.h5"))
    for length in stride(from: 0, to: bytes.count, by: 97) {
      try writeBytes(Array(bytes[..<length]), to: scratch.path("b.h5"))
      #expect(throws: HDF5Error.self, "\(length) bytes") {
        try HDF5File.open(scratch.path("b.h5")).values("/g/x", as: Float.self)
      }
    }
  }

  @Test func threadsTakeTurns() async throws {
    let scratch = try Scratch()
    let paths = (0..<8).map { scratch.path("\($0).h5") }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, path) in paths.enumerated() {
        group.addTask {
          let values = [Float](repeating: Float(index), count: 30_000)
          for _ in 0..<5 {
            let file = try HDF5File.create(path)
            try values.withUnsafeBufferPointer { try file.write("/x", shape: [30_000], $0) }
            try file.close()
            #expect(try HDF5File.open(path).values("/x", as: Float.self) == values)
          }
        }
      }
      try await group.waitForAll()
    }
  }
}
