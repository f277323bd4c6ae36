internal import Glibc

/// Seconds since a fixed moment; never runs backwards.
package func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Lets `peakResidentBytes` begin anew, where the system can (Linux): a process may do several runs.
package func forgetPeakResidentBytes() {
  guard let file = fopen("/proc/self/clear_refs", "w") else { return }
  fputs("5", file)
  fclose(file)
}

/// The most memory this process has held at once, in bytes.
package func peakResidentBytes() -> Int {
  if let bytes = systemBytes("VmHWM:", in: "/proc/self/status") { return bytes }
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return Int(usage.ru_maxrss) * 1024
}
