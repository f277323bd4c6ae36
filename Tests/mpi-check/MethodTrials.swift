import FineTuning

/// A method with options, as the checks of training run it.
struct MethodTrial: Sendable {
  let method: String
  var options = FineTuningOptions()
  var label = ""

  init(_ method: String) {
    self.method = method
    options.loraRank = 4
  }

  /// Several adapters, some of them trained.
  init(_ method: String, _ composition: Composition, trained: [String]) {
    self.init(method)
    options.adapters = try? AdapterSetup(["ko": .language, "a": .pfeiffer, "b": .pfeiffer], composition)
    options.trainedAdapters = trained
    label = " \(composition)" + (trained.isEmpty ? "" : ", \(trained.joined(separator: " and ")) trained")
  }

  var name: String { method + label }
}

/// Every registered method, and the setups of several adapters.
let methodTrials: [MethodTrial] =
  FineTuningMethods.names.filter { $0 != "fusion" }.map { MethodTrial($0) } + [
    MethodTrial("adapter", .stack([.single("ko"), .single("a")]), trained: ["a"]),
    MethodTrial("fusion", .fuse(["a", "b"]), trained: []),
    MethodTrial("fusion", .stack([.single("ko"), .fuse(["a", "b"])]), trained: ["b"]),
    MethodTrial("fusion", .stack([.single("ko"), .fuse(["a", "b"])]), trained: ["ko", "a", "b"]),
  ]
