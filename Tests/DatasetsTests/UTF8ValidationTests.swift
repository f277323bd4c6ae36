import Datasets
import Testing

@Suite struct UTF8ValidationTests {
  static func firstInvalid(_ bytes: [UInt8]) -> Int? {
    bytes.withUnsafeBufferPointer { firstInvalidUTF8(in: $0) }
  }

  /// The first position at which the standard library's decoder finds a fault.
  static func firstInvalidByStandardLibrary(_ bytes: [UInt8]) -> Int? {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var position = 0
    while true {
      switch decoder.decode(&iterator) {
      case .scalarValue(let scalar): position += String(scalar).utf8.count
      case .emptyInput: return nil
      case .error: return position
      }
    }
  }

  @Test func everyTwoBytesAreJudgedAsTheStandardLibraryDoes() {
    for a in UInt8.min...UInt8.max {
      for b in UInt8.min...UInt8.max {
        #expect(Self.firstInvalid([a, b]) == Self.firstInvalidByStandardLibrary([a, b]))
      }
    }
  }

  /// Leads and continuations around every border of the table, in sequences of four, after 0 to 9 plain bytes.
  @Test func longerSequencesAreJudgedAsTheStandardLibraryDoes() {
    let leads: [UInt8] = [
      0x7F, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5,
    ]
    let seconds: [UInt8] = [0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0]
    let others: [UInt8] = [0x41, 0x80, 0xBF, 0xC0]
    for plain in [0, 1, 7, 8, 9] {
      for a in leads {
        for b in seconds {
          for c in others {
            for d in others {
              let bytes = [UInt8](repeating: 0x20, count: plain) + [a, b, c, d]
              #expect(Self.firstInvalid(bytes) == Self.firstInvalidByStandardLibrary(bytes), "\(bytes)")
            }
          }
        }
      }
    }
  }

  @Test func everyScalarIsAccepted() {
    let all = (0...0x10FFFF).lazy.compactMap { Unicode.Scalar($0 as UInt32) }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: all)
    #expect(Self.firstInvalid(Array(String(text).utf8)) == nil)
  }
}
