import ArgumentParser
import Checkpoints
import Collectives
import Console
import Failures
import FoundationEssentials
import Glibc
import Training

/// `bert-ddp prove`.
struct Prove: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show that results do not depend on the number of ranks, nor on being killed.",
    discussion: """
      Trains with --deterministic on each number of ranks, then once more with
      ranks or mpirun killed on the way (SIGKILL), going on with another number
      of ranks each time. Prints the SHA-256 of the trained tensors of every run
      and ends with status 1 when two differ. What to train follows --; the
      embedded demo with LoRA when nothing does.
      Example:
        bert-ddp prove --ranks 1,2,4 -- --base korean-mini --method lora \\
          --train-file train.tsv --train-limit 2000 --epochs 1
      """)

  @Option(help: "Numbers of ranks.")
  var ranks = "1,2,3,4"
  @Option(help: "How often the last run is killed.")
  var kills = 4
  @Option(help: "Keep the runs in this new directory (default: a temporary one).")
  var output: String?
  @OptionGroup var screen: ScreenOptions
  @Argument(parsing: .postTerminator, help: "Options of train.")
  var training: [String] = []

  func validate() throws {
    let counts = ranks.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard counts.allSatisfy({ (1...4096).contains($0 ?? 0) }) else {
      throw ValidationError("--ranks is \(ranks), expected numbers such as 1,2,4")
    }
    guard (0...1000).contains(kills) else {
      throw ValidationError("--kills is \(kills), expected a whole number from 0 to 1000")
    }
    guard counts.count > 1 || kills > 0 else {
      throw ValidationError("--ranks \(ranks) --kills 0 is one run, and there is nothing to compare it with")
    }
    for own in ["--output", "--resume", "--deterministic", "--checkpoint-every", "--no-checkpoints"]
    where training.contains(where: { $0 == own || $0.hasPrefix(own + "=") }) {
      throw ValidationError("\(own) is prove's own; leave it out after --")
    }
  }

  func run() throws {
    guard Launcher.current?.processCount ?? 1 == 1 else {
      throw Failure(.usage, "prove starts its own mpirun; call it without one: bert-ddp prove --ranks \(ranks).")
    }
    let place = output ?? FileManager.default.temporaryDirectory.path + "/bert-ddp-prove-\(getpid())"
    guard !FileManager.default.fileExists(atPath: place) else {
      throw Failure(.cannotWrite, "\(place) exists; give a new directory with --output.")
    }
    do {
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    } catch {
      throw Failure(.cannotWrite, "\(place) cannot be made; give another directory with --output.")
    }
    defer { if output == nil { try? FileManager.default.removeItem(atPath: place) } }
    try MPISession.run { communicator in
      // A signal ends the inner job.
      communicator.watch.respond(.asks)
      let screen = Screen(quiet: screen.quiet, json: screen.json)
      try Proof(place, training, screen, json: self.screen.json, communicator.watch).run(
        ranks: ranks.split(separator: ",").compactMap { Int($0) }, kills: kills)
    }
  }
}

/// The runs of `prove` and what they came to.
private struct Proof {
  private struct Outcome: Encodable {
    let run: String
    let seconds: Double
    let sha256: String
  }

  private let place: String
  private let training: [String]
  private let screen: Screen
  private let json: Bool
  private let watch: Watch

  init(_ place: String, _ training: [String], _ screen: Screen, json: Bool, _ watch: Watch) {
    self.place = place
    self.training = training.isEmpty ? ["--method", "lora", "--max-steps", "120"] : training
    self.screen = screen
    self.json = json
    self.watch = watch
  }

  func run(ranks: [Int], kills: Int) throws {
    screen.line("each run: train --deterministic \(training.joined(separator: " "))")
    var outcomes: [Outcome] = []
    func note(_ outcome: Outcome) {
      outcomes.append(outcome)
      screen.line("\(outcome.run): \(Format.fixed(outcome.seconds, digits: 1)) s, SHA-256 \(outcome.sha256)")
    }
    for count in ranks { note(try undisturbed(on: count)) }
    if kills > 0 { note(try killed(ranks, kills)) }
    let isSame = Set(outcomes.map(\.sha256)).count == 1
    if json { screen.json(try jsonText(outcomes)) }
    guard isSame else {
      throw Failure(.other, "the trained tensors differ; run prove with --output and keep the directory for a report.")
    }
    screen.result(
      "\(outcomes.count) runs, the same trained tensors bit for bit: SHA-256 \(outcomes.first?.sha256 ?? "")")
  }

  private func arguments(_ directory: String) -> [String] {
    ["train", "--deterministic", "--quiet", "--output", directory] + training
  }

  private func undisturbed(on count: Int) throws -> Outcome {
    let directory = "\(place)/on \(count)"
    let start = monotonicSeconds()
    let job = try InnerJob(ranks: count, arguments(directory), log: directory + ".log")
    if let status = try job.wait(watch, stopped) { try require(status, job) }
    return Outcome(
      run: count == 1 ? "1 rank" : "\(count) ranks", seconds: monotonicSeconds() - start,
      sha256: try digest(directory))
  }

  /// A run that is killed whenever it has got somewhere, and goes on with the next number of ranks.
  private func killed(_ ranks: [Int], _ kills: Int) throws -> Outcome {
    let directory = "\(place)/killed"
    let start = monotonicSeconds()
    var done = 0
    for attempt in 0... {
      let count = ranks[attempt % ranks.count]
      let before = newestStep(directory)
      let job = try InnerJob(
        ranks: count, arguments(directory) + ["--checkpoint-every", "3", "--resume", "auto"],
        log: "\(directory) \(attempt).log")
      let status = try job.wait(watch, stopped) { done < kills && newestStep(directory) > before }
      guard let status else {
        // Anywhere in the next few steps and saves; a rank and mpirun in turn.
        usleep(UInt32.random(in: 0..<60_000))
        let what = job.kill(attempt % 2 == 0 ? attempt / 2 % count : Int.max)
        done += 1
        screen.line("  \(what) of \(count) killed after step \(newestStep(directory))")
        continue
      }
      try require(status, job)
      if done < kills {
        screen.warning(
          "the run was over after \(done) of \(kills) kills; let it train longer, for one with a higher --epochs after --."
        )
      }
      return Outcome(
        run: "killed \(done) times", seconds: monotonicSeconds() - start, sha256: try digest(directory))
    }
    throw Failure(.other, "the killed run never ended.")
  }

  private var stopped: String { "stopped before all runs were done; nothing was shown." }

  private func require(_ status: Int32, _ job: InnerJob) throws {
    guard status != 0 else { return }
    throw Failure(Failure.Kind(rawValue: status) ?? .other, "a run ended with status \(status): \(job.lastLine)")
  }

  /// The highest step that a checkpoint's name has; 0 when there is none.
  private func newestStep(_ directory: String) -> Int {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.compactMap(CheckpointFiles.step(named:)).max() ?? 0
  }

  /// SHA-256 over the trained tensors: names, shapes and numbers.
  private func digest(_ directory: String) throws -> String {
    let file = try TensorFile(opening: directory + "/model.h5", as: [.model])
    let entries = try file.entries().sorted { $0.name < $1.name }
    var failure: (any Error)?
    let digest = Digest.hex { update in
      for entry in entries {
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: entry.count)
        defer { values.deallocate() }
        values.initialize(repeating: 0)
        do { try file.read(entry.name, into: values) } catch { failure = error }
        Array("\(entry.name) \(entry.shape)\n".utf8).withUnsafeBytes { update($0) }
        update(UnsafeRawBufferPointer(values))
      }
    }
    if let failure { throw failure }
    return digest
  }
}
