/// What a pickle of tensors may be made of.
///
/// Tuples, lists, dictionaries, storages and tensors live in arrays of the machine and are named by their
/// index, so that a value nested a million deep, or inside itself, is neither recursed into nor leaked.
enum PickleValue {
  case none
  case bool(Bool)
  case int(Int)
  case float(Double)
  case string(String)
  /// Elements `start..<start + count` of the machine's cells.
  case tuple(start: Int32, count: Int32)
  case list(Int)
  case dictionary(Int)
  case global(PickleGlobal)
  case storage(Int)
  case tensor(Int)
}

/// The few Python names that a file of tensors mentions; each is understood here, none is called.
enum PickleGlobal: Equatable {
  case orderedDictionary
  case rebuildTensor
  case rebuildTensorV2
  case rebuildParameter
  case storageType(TensorElement)

  /// The meaning of a module and a name; nil for everything that has no place in a file of tensors.
  init?(module: String, name: String) {
    switch "\(module) \(name)" {
    case "collections OrderedDict": self = .orderedDictionary
    case "torch._utils _rebuild_tensor": self = .rebuildTensor
    case "torch._utils _rebuild_tensor_v2": self = .rebuildTensorV2
    case "torch._utils _rebuild_parameter": self = .rebuildParameter
    case "torch DoubleStorage": self = .storageType(.float64)
    case "torch FloatStorage": self = .storageType(.float32)
    case "torch HalfStorage": self = .storageType(.float16)
    case "torch BFloat16Storage": self = .storageType(.bfloat16)
    case "torch LongStorage": self = .storageType(.int64)
    case "torch IntStorage": self = .storageType(.int32)
    case "torch ShortStorage": self = .storageType(.int16)
    case "torch CharStorage": self = .storageType(.int8)
    case "torch ByteStorage": self = .storageType(.uint8)
    case "torch BoolStorage": self = .storageType(.bool)
    default: return nil
    }
  }
}

/// A block of numbers that a pickle refers to by a key; it is stored outside the pickle.
struct PickledStorage {
  /// Its key: a number in a zip file, an address in an old one.
  let key: String
  /// How its numbers are encoded.
  let element: TensorElement
  /// How many numbers the whole block has.
  let elementCount: Int
  /// The numbers of the block that belong to this storage, in elements.
  let view: Range<Int>
}

/// A tensor as a pickle describes it: a view of a storage, not yet checked against it.
struct PickledTensor {
  /// The index of its storage.
  let storage: Int
  /// The first element, from the start of the storage.
  let offset: Int
  /// Sizes, outermost first.
  let shape: [Int]
  /// Distances between neighbours in elements.
  let strides: [Int]
}
