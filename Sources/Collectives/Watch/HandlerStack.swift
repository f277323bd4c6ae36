internal import Glibc

/// A stack of its own for what signals start on a thread; every thread that multiplies matrices has one.
///
/// While a product of oneDNN runs, its code may keep the stack pointer in a buffer of the heap (`dnnl_sgemm` with AVX-512 does). A
/// handler begun there without a stack of its own would write some kilobytes of saved registers over what lies before that buffer.
package enum HandlerStack {
  /// What the kernel saves (up to 11 KiB with AMX), and room for a handler that calls others.
  private static let byteCount = 65_536

  /// Sees to it that the calling thread has one.
  /// - Returns: Whether it had none and has taken one, which is to be given back before the thread ends.
  @discardableResult
  package static func take() -> Bool {
    var present = stack_t()
    sigaltstack(nil, &present)
    // Swift has given one to the first thread, where it explains crashes.
    if present.ss_flags & CInt(SS_DISABLE) == 0, present.ss_size >= byteCount { return false }
    guard let memory = malloc(byteCount) else { return false }
    var stack = stack_t(ss_sp: memory, ss_flags: 0, ss_size: byteCount)
    if sigaltstack(&stack, nil) == 0 { return true }
    free(memory)
    return false
  }

  /// Gives back what the calling thread took.
  package static func giveBack() {
    var none = stack_t(ss_sp: nil, ss_flags: CInt(SS_DISABLE), ss_size: 0)
    var taken = stack_t()
    guard sigaltstack(&none, &taken) == 0, taken.ss_flags & CInt(SS_DISABLE) == 0 else { return }
    free(taken.ss_sp)
  }
}
