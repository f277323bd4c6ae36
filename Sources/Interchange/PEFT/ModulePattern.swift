internal import Failures

/// A regular expression over module names, matched in time linear in the name.
///
/// PEFT's configurations may select modules by Python regular expressions, and files come from anybody: a matcher
/// that backtracks could be kept busy for years by twenty characters. This one follows all alternatives at once
/// (Thompson, 1968). It has what such files use: literals, `.`, classes, groups, `|`, `* + ? {n,m}`, `^`, `$`, `\d \w
/// \s` and their opposites; look-around and back-references are refused.
struct ModulePattern {
  /// One step of the compiled pattern.
  private enum Step {
    case byte((UInt8) -> Bool)
    case fork(Int, Int)
    case start
    case end
    case match
  }

  private var steps: [Step] = []

  /// Most steps that a pattern may compile to; repetition counts multiply.
  private static let maximumStepCount = 1024

  /// Compiles an expression that has to match a whole name.
  /// - Parameters:
  ///   - expression: The expression, in Python's syntax.
  ///   - source: Where it stands, for messages.
  /// - Throws: `Failure(.badContent)` when it is malformed, too large, or uses what is not supported.
  init(_ expression: String, source: String) throws {
    var parser = PatternParser(expression, source: source)
    let node = try parser.parse()
    guard node.stepCount < ModulePattern.maximumStepCount else {
      throw Failure(.badContent, "\(source): the pattern \(expression.quoted) is too large")
    }
    emit(node)
    steps.append(.match)
  }

  /// Whether the whole name matches.
  func matches(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    var current = [Bool](repeating: false, count: steps.count)
    follow(0, at: 0, of: bytes.count, into: &current)
    for (position, byte) in bytes.enumerated() {
      var next = [Bool](repeating: false, count: steps.count)
      for index in steps.indices where current[index] {
        if case .byte(let accepts) = steps[index], accepts(byte) {
          follow(index + 1, at: position + 1, of: bytes.count, into: &next)
        }
      }
      current = next
    }
    return current[steps.count - 1]
  }

  /// Marks a step and all that it leads to without reading a byte.
  private func follow(_ index: Int, at position: Int, of count: Int, into marks: inout [Bool]) {
    var pending = [index]
    while let index = pending.popLast() {
      guard !marks[index] else { continue }
      marks[index] = true
      switch steps[index] {
      case .fork(let first, let second): pending += [first, second]
      case .start where position == 0: pending.append(index + 1)
      case .end where position == count: pending.append(index + 1)
      default: break
      }
    }
  }

  private mutating func emit(_ node: PatternNode) {
    switch node {
    case .byte(let accepts): steps.append(.byte(accepts))
    case .start: steps.append(.start)
    case .end: steps.append(.end)
    case .sequence(let nodes): for node in nodes { emit(node) }
    case .choice(let nodes):
      var jumps: [Int] = []
      for node in nodes.dropLast() {
        let fork = steps.count
        steps.append(.match)
        emit(node)
        jumps.append(steps.count)
        steps.append(.match)
        steps[fork] = .fork(fork + 1, steps.count)
      }
      if let last = nodes.last { emit(last) }
      for jump in jumps { steps[jump] = .fork(steps.count, steps.count) }
    case .repeated(let node, let minimum, let maximum):
      for _ in 0..<minimum { emit(node) }
      if let maximum {
        for _ in minimum..<maximum { emitOptional(node) }
      } else {
        let fork = steps.count
        steps.append(.match)
        emit(node)
        steps.append(.fork(fork, fork))
        steps[fork] = .fork(fork + 1, steps.count)
      }
    }
  }

  private mutating func emitOptional(_ node: PatternNode) {
    let fork = steps.count
    steps.append(.match)
    emit(node)
    steps[fork] = .fork(fork + 1, steps.count)
  }
}

/// A parsed piece of a pattern.
indirect enum PatternNode {
  case byte((UInt8) -> Bool)
  case start
  case end
  case sequence([PatternNode])
  case choice([PatternNode])
  case repeated(PatternNode, minimum: Int, maximum: Int?)

  /// An upper bound of the steps it compiles to.
  var stepCount: Int {
    switch self {
    case .byte, .start, .end: 1
    case .sequence(let nodes): nodes.reduce(1) { min(1 << 20, $0 + $1.stepCount) }
    case .choice(let nodes): nodes.reduce(1) { min(1 << 20, $0 + $1.stepCount + 2) }
    case .repeated(let node, let minimum, let maximum):
      min(1 << 20, (node.stepCount + 1) * max(1, maximum ?? minimum + 1) + 2)
    }
  }
}
