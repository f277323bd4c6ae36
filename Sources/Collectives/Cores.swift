internal import Glibc

/// The cores that this process may use.
package enum Cores {
  /// Cores of the node that its processes may use together: those online, or the container's share if smaller.
  package static var ofNode: Int {
    let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    return min(online, containerShare ?? online)
  }

  /// Physical cores that this process may use: two hardware threads of a core share its vector units, so a rank on each
  /// is no faster than one.
  package static var physical: Int { physical(of: allowed) }

  /// Physical cores of some processors, by their numbers.
  package static func physical(of processors: [Int]) -> Int {
    let places = Set(
      processors.map { processor in
        let topology = "/sys/devices/system/cpu/cpu\(processor)/topology/"
        return ["physical_package_id", "core_id"].map { lines(topology + $0).first.map(String.init) ?? "\(processor)" }
      })
    return max(1, min(places.isEmpty ? ofNode : places.count, ofNode))
  }

  /// The numbers of the processors that this process may use; none when the system does not say.
  package static var allowed: [Int] {
    // "Cpus_allowed_list:	0-3,8".
    let list = lines("/proc/self/status").first { $0.hasPrefix("Cpus_allowed_list:") }?.dropFirst(18) ?? ""
    return list.split(separator: ",").flatMap { part -> [Int] in
      let ends = part.split(separator: "-").compactMap { Int($0.filter(\.isNumber)) }
      guard let first = ends.first, let last = ends.last, first <= last else { return [] }
      return Array(first...last)
    }
  }

  /// The limit of a container (`docker --cpus`), rounded up: cgroup 2's `cpu.max` or cgroup 1's quota.
  private static var containerShare: Int? {
    let root = "/sys/fs/cgroup"
    func numbers(_ path: String) -> [Int] {
      lines(root + path).first?.split(separator: " ").compactMap { Int($0) } ?? []
    }
    let modern = numbers("/cpu.max")
    let pair = modern.isEmpty ? numbers("/cpu/cpu.cfs_quota_us") + numbers("/cpu/cpu.cfs_period_us") : modern
    guard pair.count == 2, pair[0] > 0, pair[1] > 0 else { return nil }
    return max(1, (pair[0] + pair[1] - 1) / pair[1])
  }

  /// With more ranks than cores on the node, a rank that waits for another must give its core away.
  ///
  /// Open MPI finds that out by itself unless slots were declared by hand; read before `MPI_Init`.
  static func yieldWhenCrowded() {
    let ranks = getenv("OMPI_COMM_WORLD_LOCAL_SIZE").flatMap { Int(String(cString: $0)) }
    if let ranks, ranks > ofNode { setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0) }
  }
}

/// The lines of a small file of the system; none when it cannot be read.
package func lines(_ path: String) -> [Substring] {
  guard let file = fopen(path, "r") else { return [] }
  defer { fclose(file) }
  let text = [UInt8](unsafeUninitializedCapacity: 1 << 16) { bytes, count in
    count = fread(bytes.baseAddress, 1, bytes.count, file)
  }
  return String(decoding: text, as: UTF8.self).split(separator: "\n")
}
