internal import CMPI

/// The MPI library and its version: `Open MPI v4.1.4`. May be asked before MPI is started.
package func mpiVersion() -> String {
  var text = [CChar](repeating: 0, count: Int(MPI_MAX_LIBRARY_VERSION_STRING))
  var length: CInt = 0
  guard MPI_Get_library_version(&text, &length) == MPI_SUCCESS else { return "MPI" }
  let whole = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  // "Open MPI v4.1.4, package: Debian OpenMPI, ident: …"
  return whole.split(separator: ",").first.map(String.init) ?? whole
}
