internal import CHDF5

/// The element types of datasets: little-endian in the file, the machine's own in memory.
package enum ElementKind: String, Sendable, CaseIterable {
  case float32, float64, int64, int32, uint8

  /// Bytes of one element.
  package var byteCount: Int {
    switch self {
    case .float32, .int32: 4
    case .float64, .int64: 8
    case .uint8: 1
    }
  }

  /// The type in the file; the library owns it.
  var fileType: hid_t {
    switch self {
    case .float32: CHDF5_fileFloat()
    case .float64: CHDF5_fileDouble()
    case .int64: CHDF5_fileInt64()
    case .int32: CHDF5_fileInt32()
    case .uint8: CHDF5_fileUInt8()
    }
  }

  /// The type in memory; the library owns it.
  var memoryType: hid_t {
    switch self {
    case .float32: CHDF5_nativeFloat()
    case .float64: CHDF5_nativeDouble()
    case .int64: CHDF5_nativeInt64()
    case .int32: CHDF5_nativeInt32()
    case .uint8: CHDF5_nativeUInt8()
    }
  }

  /// The kind that a type in a file is exactly, if it is one of ours.
  init?(fileType: hid_t) {
    guard let kind = ElementKind.allCases.first(where: { H5Tequal(fileType, $0.fileType) > 0 }) else {
      return nil
    }
    self = kind
  }
}

/// A Swift type that datasets hold.
package protocol HDF5Element: BitwiseCopyable, Sendable {
  /// The kind of element that it is in a file.
  static var elementKind: ElementKind { get }
}

extension Float: HDF5Element {
  package static var elementKind: ElementKind { .float32 }
}
extension Double: HDF5Element {
  package static var elementKind: ElementKind { .float64 }
}
extension Int64: HDF5Element {
  package static var elementKind: ElementKind { .int64 }
}
extension Int32: HDF5Element {
  package static var elementKind: ElementKind { .int32 }
}
extension UInt8: HDF5Element {
  package static var elementKind: ElementKind { .uint8 }
}
