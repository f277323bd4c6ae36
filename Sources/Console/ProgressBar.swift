/// How far a phase of the work is: a redrawn line on a terminal, a plain line now and then in a log.
///
/// Calling `update` at every step costs a look at the clock; text is made only when it is shown. The line goes away with
/// `finish` or with the bar itself, so an error that unwinds past it leaves a clean terminal. Bars may be nested
/// (an evaluation within an epoch): the one that was updated last is shown.
package final class ProgressBar {
  /// On a terminal: at most ten times a second.
  private static let redrawInterval = 0.1
  /// In a log: not before both of these have passed since the last line …
  private static let plainInterval = 10.0
  private static let plainShare = 0.05
  /// … but never silent for longer than this.
  private static let longestSilence = 300.0

  private let screen: Screen
  private let isShown: Bool
  private var line: ProgressLine
  private var rate = MovingRate()
  private var latestLoss: Double = .nan
  private var isFinished = false
  private var sampledAt: Double
  private var sampledDone: Int
  private var printedAt = -Double.infinity
  private var printedDone: Int

  init(screen: Screen, name: String, total: Int, from start: Int, unit: String) {
    self.screen = screen
    isShown = screen.showsProgress
    line = ProgressLine(name: name.printable, done: start, total: total, unit: unit)
    sampledAt = isShown ? screen.clock() : 0
    sampledDone = start
    printedDone = start
    if isShown && screen.terminal.isInteractive { draw() }
  }

  deinit { close() }

  /// Says how much of the total is done.
  ///
  /// - Parameters:
  ///   - done: What is done of the total, all in all.
  ///   - loss: The latest loss; the last one given stays.
  package func update(_ done: Int, loss: Double? = nil) {
    guard isShown, !isFinished else { return }
    line.done = done
    if let loss { latestLoss = loss }
    let now = screen.clock()
    let elapsed = now - sampledAt
    guard elapsed >= ProgressBar.redrawInterval else { return }
    rate.add(done - sampledDone, in: elapsed)
    sampledAt = now
    sampledDone = done
    if screen.terminal.isInteractive {
      draw()
    } else if isPlainLineDue(now) {
      printedAt = now
      printedDone = done
      complete()
      screen.line(line.plain())
    }
  }

  /// Takes the line away; later updates do nothing.
  ///
  /// - Parameter closing: A line to leave in its place, on a terminal and in a log.
  package func finish(_ closing: String? = nil) {
    close()
    if let closing { screen.line(closing) }
  }

  private func close() {
    guard !isFinished else { return }
    isFinished = true
    screen.hideLive(of: ObjectIdentifier(self))
  }

  private func isPlainLineDue(_ now: Double) -> Bool {
    let silence = now - printedAt
    let progress = Double(line.done - printedDone) / Double(max(1, line.total))
    return silence >= ProgressBar.longestSilence
      || (silence >= ProgressBar.plainInterval && progress >= ProgressBar.plainShare)
  }

  private func complete() {
    line.loss = latestLoss.isNaN ? nil : latestLoss
    line.perSecond = rate.perSecond
  }

  private func draw() {
    complete()
    // The last column stays free: a terminal that has written into it may already have wrapped.
    let text = line.bar(columns: screen.terminal.width - 1) { screen.terminal.styled($0, .progress) }
    screen.showLive(text, of: ObjectIdentifier(self))
  }
}
