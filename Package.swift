// swift-tools-version: 6.1
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// A room of the project: its sources, what it may import, nothing else.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// A program.
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// The tests of a room, named after it.
func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies, exclude: exclude,
    swiftSettings: settings)
}

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "bert-ddp",
  products: [
    .executable(name: "bert-ddp", targets: ["bert-ddp"]),
    .executable(name: "bert-ddp-bench", targets: ["bert-ddp-bench"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // MARK: Foundations: numbers that depend on nothing, errors a person reads
    module("Failures"),
    module("JSON", ["Failures"]),
    module("Randomness"),
    module("Tensors", ["Randomness", "Failures"]),

    // MARK: The model: kernels, BERT, fine-tuning methods
    module("Kernels", ["Randomness", "Tensors", "COpenBLAS", "CVectors"]),
    module("BERT", ["Kernels", "Tensors", "Randomness", "JSON", "Failures"]),
    module("FineTuning", ["BERT", "Kernels", "Tensors", "Randomness", "Failures"]),

    // MARK: Beside the model: text, data, files, other ranks, people
    module("Tokenization", ["JSON", "Failures"]),
    module("Datasets", ["Randomness", "Failures"]),
    module("Metrics"),
    module("Interchange", ["JSON", "Failures"]),
    module("Exchange", ["Interchange", "FineTuning", "BERT", "Tensors", "Kernels", "Failures"]),
    module("HDF5", ["CHDF5", "Failures"]),
    module("Checkpoints", ["HDF5", "JSON", "Failures", .product(name: "Crypto", package: "swift-crypto")]),
    module("Collectives", ["CMPI", "Failures"]),
    module("Console"),
    module("Plots"),
    module("TensorBoard", ["Failures"]),
    module("Demo", ["Randomness"]),
    module("ScalingModel", ["Datasets"]),

    // MARK: The step, the run, the program
    module(
      "Training",
      [
        "FineTuning", "BERT", "Kernels", "Tensors", "Randomness", "Tokenization", "Datasets",
        "Metrics", "Interchange", "Exchange", "Checkpoints", "Collectives", "Console", "TensorBoard", "Demo",
        "JSON", "Failures",
      ]),
    module("Doctor", ["Collectives", "Kernels"]),
    module(
      "Planning",
      ["Training", "FineTuning", "BERT", "Kernels", "Tensors", "Collectives", "ScalingModel", "Failures"]),
    module(
      "Comparison",
      ["Training", "BERT", "Datasets", "Metrics", "Checkpoints", "Collectives", "Console", "Plots", "JSON", "Failures"]),
    program(
      "bert-ddp",
      [
        "Comparison", "Doctor", "Planning", "Plots", "ScalingModel", "Training", "FineTuning", "BERT", "Kernels",
        "Tokenization", "Datasets", "Metrics", "Interchange",
        "Checkpoints", "Collectives", "Console", "Demo", "Tensors", "JSON", "Failures",
        argumentParser, "Yams",
      ]),
    program(
      "bert-ddp-bench",
      [
        "Training", "FineTuning", "BERT", "Kernels", "Tensors", "Randomness", "Datasets",
        "Tokenization", "Collectives", "Console", "Failures", argumentParser,
      ]),

    // MARK: System libraries, one importer each; CVectors is a header alone
    .systemLibrary(name: "CVectors"),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),

    // MARK: Tests; mpi-check is the suite that runs under mpirun
    .target(
      name: "TestSupport",
      dependencies: ["BERT", "Kernels", "Tensors", "Randomness", "Interchange", "Failures"],
      path: "Tests/TestSupport", swiftSettings: settings),
    .executableTarget(
      name: "mpi-check",
      dependencies: [
        "Training", "FineTuning", "BERT", "Kernels", "Tensors", "Randomness", "Collectives",
        "Datasets", "Failures", "TestSupport",
      ],
      path: "Tests/mpi-check", exclude: ["failures.sh"], swiftSettings: settings,
      // Everything in this process asks Allocations.swift for memory, which counts.
      linkerSettings: [
        .unsafeFlags(
          ["malloc", "calloc", "realloc", "posix_memalign"].flatMap { ["-Xlinker", "--defsym=\($0)=counted_\($0)"] })
      ]),
    // Tests/CommandTests holds scripts; this writes the tiny models and data that they need.
    .executableTarget(
      name: "make-fixture",
      dependencies: [
        "BERT", "Checkpoints", "Demo", "Interchange", "Randomness", "Tensors", "TestSupport", "Failures",
      ],
      path: "Tests/make-fixture", swiftSettings: settings),
    // The parsers of foreign files as functions of bytes, for launch/fuzz and, on what it has found, for the tests.
    .target(
      name: "ParserTargets",
      dependencies: [
        "BERT", "Checkpoints", "Datasets", "Demo", "Exchange", "FineTuning", "HDF5", "Interchange", "JSON",
        "Tokenization", "TestSupport", "Failures",
      ],
      path: "Tests/ParserTargets", swiftSettings: settings),
    tests("ParserTargets", ["Failures"], exclude: ["Found"]),
    tests("Failures"),
    tests("JSON", ["Failures"]),
    tests("Randomness"),
    tests("Tensors", ["Randomness", "Failures"]),
    tests("Kernels", ["Tensors", "Randomness"]),
    tests("BERT", ["Kernels", "Tensors", "Randomness", "Interchange", "Failures"]),
    tests("FineTuning", ["BERT", "Kernels", "Tensors", "Randomness", "Interchange", "Failures"]),
    tests("Tokenization", ["Failures"], exclude: ["Generators"]),
    tests("Datasets", ["Randomness", "Failures"]),
    tests("Metrics"),
    tests("Interchange", ["JSON", "Failures"]),
    tests("Exchange", ["Interchange", "FineTuning", "BERT", "Kernels", "Tensors", "Randomness", "Failures"]),
    tests("HDF5", ["Failures"]),
    tests("Checkpoints", ["HDF5", "Failures"]),
    tests("Console"),
    tests("Plots"),
    tests("TensorBoard"),
    tests("Demo", ["Randomness"]),
    tests("Comparison", ["Training", "Failures"]),
    tests("ScalingModel", ["Datasets"]),
    tests("Doctor"),
    tests("Planning", ["Training", "FineTuning", "BERT", "Kernels", "Tensors", "ScalingModel", "Failures"]),
    tests(
      "Training",
      [
        "FineTuning", "BERT", "Kernels", "Tensors", "Datasets", "Tokenization", "Collectives", "Interchange",
        "Checkpoints", "Console", "Demo", "Exchange", "Metrics", "Failures",
      ]),
  ]
)

// Its main program is libFuzzer's, which only a build with -sanitize=fuzzer has.
if Context.environment["BERT_DDP_FUZZ"] != nil {
  let metered = ["malloc", "calloc", "realloc", "free", "memalign", "aligned_alloc", "posix_memalign"]
  package.targets.append(
    .executableTarget(
      name: "fuzz", dependencies: ["ParserTargets", "TestSupport", "Failures"], path: "Tests/fuzz",
      swiftSettings: settings,
      linkerSettings: [.unsafeFlags(metered.flatMap { ["-Xlinker", "--defsym=\($0)=metered_\($0)"] })]))
}
