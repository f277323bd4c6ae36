internal import Glibc
internal import Synchronization

/// Returns when a counter has got so far, which other workers of the rank take it to. They mostly work as long as
/// this one did, so it looks again at once; after some time, or where threads share a core, it makes way.
func spin(until counter: borrowing Atomic<Int>, reaches all: Int) {
  var looks = 0
  while counter.load(ordering: .acquiring) < all {
    looks += 1
    if looks > 2000 { sched_yield() }
  }
}
