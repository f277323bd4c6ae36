import FineTuning
import Kernels

/// Several adapters together, for the suites that run over all methods: what a stack or a fusion is, and which of its
/// adapters are trained. Non-linearities are smooth, so that central differences mean something.
struct AdapterSetups: Sendable {
  let setup: AdapterSetup
  let trained: [String]

  private init(
    _ configurations: [String: AdapterConfiguration], _ composition: Composition, trained: [String] = [],
    fusion: FusionConfiguration = FusionConfiguration()
  ) throws {
    setup = try AdapterSetup(configurations, composition, fusion: fusion)
    self.trained = trained
  }

  private static func adapter(
    _ preset: AdapterConfiguration, _ reduction: Double, leaveOut: [Int] = []
  ) -> AdapterConfiguration {
    var configuration = preset
    configuration.activation = reduction == 3 ? .gelu : .swish
    configuration.reduction = AdapterConfiguration.Reduction(reduction)
    configuration.leaveOut = leaveOut
    return configuration
  }

  /// A language adapter with its invertible block, two task adapters of different widths, and one of each other kind.
  static let configurations = [
    "ko": adapter(.language, 2), "a": adapter(.pfeiffer, 3), "b": adapter(.pfeiffer, 5), "c": adapter(.language, 4),
    "task": adapter(.pfeiffer, 3), "h": adapter(.houlsby, 4), "i": adapter(.houlsby, 6),
    "left": adapter(.pfeiffer, 3, leaveOut: [0]), "out": adapter(.pfeiffer, 4, leaveOut: [0]),
  ]

  /// Frozen and trained members, a language adapter below, three fused ones, fusion at both block ends, a fusion
  /// without a value matrix, a layer without a fusion.
  static let all: [AdapterSetups] = {
    var early = FusionConfiguration()
    (early.queryBeforeNorm, early.dropout) = (true, 0.3)
    let stack = { (top: Composition) in Composition.stack([.single("ko"), top]) }
    do {
      return [
        try AdapterSetups(configurations, stack(.single("task")), trained: ["task"]),
        try AdapterSetups(configurations, stack(.single("task")), trained: ["ko", "task"]),
        try AdapterSetups(configurations, .fuse(["a", "b"])),
        try AdapterSetups(configurations, .fuse(["a", "c", "b"]), trained: ["a", "b", "c"]),
        try AdapterSetups(configurations, stack(.fuse(["a", "b"]))),
        try AdapterSetups(configurations, stack(.fuse(["a", "b"])), trained: ["b"]),
        try AdapterSetups(configurations, .fuse(["h", "i"]), trained: ["i"], fusion: early),
        try AdapterSetups(configurations, .fuse(["left", "out"]), fusion: .fixed),
      ]
    } catch {
      preconditionFailure("a setup for tests: \(error)")
    }
  }()
}
