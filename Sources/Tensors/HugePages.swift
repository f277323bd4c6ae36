internal import Glibc

/// Asks the system for pages of 2 MB where it has them: a product that runs over megabytes otherwise waits for the
/// translation of addresses. A page is still given when it is first written.
package func useHugePages(_ memory: UnsafeMutableRawPointer, _ byteCount: Int) {
  let page = 4096
  let start = (Int(bitPattern: memory) + page - 1) / page * page
  let end = (Int(bitPattern: memory) + byteCount) / page * page
  // Where the system has none, nothing is lost.
  if end > start, let pages = UnsafeMutableRawPointer(bitPattern: start) { madvise(pages, end - start, MADV_HUGEPAGE) }
}
