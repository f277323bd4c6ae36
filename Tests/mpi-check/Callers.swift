import Glibc

// Functions of the C library that its module for Swift leaves out.

@_silgen_name("backtrace")
private func callers(_ frames: UnsafeMutablePointer<UnsafeRawPointer?>?, _ count: CInt) -> CInt
@_silgen_name("dladdr")
private func locate(_ code: UnsafeRawPointer, _ place: UnsafeMutablePointer<Place>) -> CInt

/// `Dl_info`: the file that some code is of, where that is loaded, the symbol and where it is.
private struct Place {
  var file: UnsafePointer<CChar>?
  var base: UnsafeRawPointer?
  var symbol: UnsafePointer<CChar>?
  var address: UnsafeRawPointer?
}

/// Whether OpenBLAS or oneDNN, or OpenMP which oneDNN is built on, is among the functions that led here.
func isCalledByBLAS() -> Bool {
  withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: 8) { frames in
    let found = callers(frames.baseAddress, CInt(frames.count))
    return frames.prefix(Int(found)).contains { frame in
      var place = Place()
      guard let frame, locate(frame, &place) != 0, let file = place.file else { return false }
      return strstr(file, "openblas") != nil || strstr(file, "dnnl") != nil || strstr(file, "libgomp") != nil
    }
  }
}
