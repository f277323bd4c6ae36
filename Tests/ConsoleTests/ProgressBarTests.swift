import Console
import Testing

private let erased = "\r\u{1B}[K"

private func drawn(_ line: String) -> String { "\r\(line)\u{1B}[K\r" }

@Suite struct ProgressBarOnATerminalTests {
  @Test func drawsAtOnceThenTenTimesASecond() {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: true).progress("epoch 1/4", total: 1000)
    let empty = "epoch 1/4  [                                    ]   0 %      0/1,000  ETA --:--"
    #expect(recorder.take() == drawn(empty))
    for step in 1...50 {
      recorder.now = 100 + Double(step) / 64
      bar.update(step)
    }
    // Steps 7, 14, … 49 are the first at least 0.1 s after the one drawn before.
    #expect(recorder.writeCount == 1 + 7)
    bar.finish()
  }

  @Test func saysLossRateAndTimeLeft() {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: true, width: 100).progress("epoch 1/4", total: 150_000)
    _ = recorder.take()
    recorder.now += 10
    bar.update(12_340, loss: 0.4312)
    // 137,660 reviews at 1,234 a second are 111.6 seconds.
    let line =
      "epoch 1/4  [>                     ]   8 %   12,340/150,000  loss  .431   1,234 reviews/s  ETA 01:52"
    #expect(recorder.take() == drawn(line))
    #expect(line.displayWidth == 99)
    recorder.now += 1e6
    bar.update(150_000, loss: 1.5)
    #expect(recorder.take().contains("[======================] 100 %  150,000/150,000  loss 1.500"))
    bar.finish()
    #expect(recorder.take() == erased)
  }

  @Test(arguments: [
    (
      140,
      "학습 1/4  [==============>                         ]  37 %  1,500/4,000  loss  .500     150 reviews/s"
        + "  ETA 00:17"
    ),
    (92, "학습 1/4  [======>            ]  37 %  1,500/4,000  loss  .500     150 reviews/s  ETA 00:17"),
    (80, "학습 1/4  [====>          ]  37 %  1,500/4,000  loss  .500     150/s  ETA 00:17"),
    (70, "학습 1/4  [=====>            ]  37 %  loss  .500     150/s  ETA 00:17"),
    (60, "학습 1/4  [=====>            ]  37 %  loss  .500  ETA 00:17"),
    (44, "학습 1/4   37 %  loss  .500  ETA 00:17"),
    (36, "학습 1/4   37 %  ETA 00:17"),
    (20, "학습 1/4   37 %"),
    (12, " 37 % 학습…"),
  ])
  func leavesOutTheLeastMissedFirst(width: Int, expected: String) {
    #expect(lineAt(width: width) == expected)
  }

  private func lineAt(width: Int) -> String {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: true, width: width).progress("학습 1/4", total: 4000)
    recorder.now += 10
    _ = recorder.take()
    bar.update(1500, loss: 0.5)
    let text = recorder.take()
    bar.finish()
    return String(text.dropFirst().dropLast(4))
  }

  /// Every width from nothing to wide: never more columns than there are, less the one that keeps it from wrapping.
  @Test(arguments: 0...140)
  func neverWraps(width: Int) {
    #expect(lineAt(width: width).displayWidth <= max(0, width - 1))
  }

  @Test func updatesOfTheInnerBarReplaceTheOuterOne() {
    let recorder = Recorder()
    let screen = recorder.screen(interactive: true, width: 50)
    let outer = screen.progress("epoch", total: 10)
    let inner = screen.progress("evaluation", total: 10)
    #expect(recorder.take().hasSuffix(drawn("evaluation  [           ]   0 %   0/10  ETA --:--")))
    outer.finish()
    #expect(recorder.take() == "")
    inner.finish("accuracy .871")
    #expect(recorder.take() == erased + "accuracy .871\n")
  }

  @Test func linesGoAboveTheBar() {
    let recorder = Recorder()
    let screen = recorder.screen(interactive: true, width: 40)
    let bar = screen.progress("data", total: 10)
    _ = recorder.take()
    screen.line("a checkpoint is written")
    let redrawn = "data  [              ]   0 %  ETA --:--\u{1B}[K\r"
    #expect(recorder.take() == erased + "a checkpoint is written\n" + redrawn)
    screen.warning("the disk is nearly full")
    #expect(recorder.take() == erased + redrawn)
    #expect(recorder.complaints == "warning: the disk is nearly full\n")
    bar.finish()
    screen.line("done")
    #expect(recorder.take() == erased + "done\n")
  }

  @Test func anErrorThatUnwindsTakesTheBarAway() {
    struct Mishap: Error {}
    let recorder = Recorder()
    let screen = recorder.screen(interactive: true)
    func run() throws {
      let bar = screen.progress("epoch", total: 10)
      bar.update(1)
      throw Mishap()
    }
    #expect(throws: Mishap.self) { try run() }
    screen.error("the loss is not finite")
    #expect(recorder.take().hasSuffix(erased))
    #expect(recorder.complaints == "error: the loss is not finite\n")
  }

  @Test func resumedWorkDoesNotCountForTheRate() {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: true).progress("epoch", total: 1000, from: 900)
    _ = recorder.take()
    recorder.now += 1
    bar.update(910)
    #expect(recorder.take().contains("91 %    910/1,000    10.0 reviews/s  ETA 00:09"))
    bar.finish()
  }

  @Test func theRateForgetsWhatIsLongAgo() {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: true, width: 120).progress("epoch", total: 1_000_000)
    var done = 0
    for _ in 0..<600 {
      recorder.now += 0.1
      done += 10
      bar.update(done)
    }
    #expect(recorder.take().hasSuffix("  6,000/1,000,000     100 reviews/s  ETA 2:45:40\u{1B}[K\r"))
    for _ in 0..<600 {
      recorder.now += 0.1
      done += 100
      bar.update(done)
    }
    // A minute is four memories: 1000 − 900 e⁻⁴ ≈ 984, less what the first minute's average lacks.
    #expect(recorder.take().contains("   983 reviews/s"))
    bar.finish()
  }

  @Test func colorIsNotCountedAsWidth() {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: true, color: true, width: 50).progress("data", total: 10)
    _ = recorder.take()
    recorder.now += 1
    bar.update(5)
    #expect(recorder.take() == drawn("data  [\u{1B}[32m======>\u{1B}[0m       ]  50 %     5.0/s  ETA 00:01"))
    bar.finish()
  }
}

@Suite struct ProgressBarInALogTests {
  @Test func firstAtOnceThenByTimeAndShare() {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: false).progress("epoch 1/4", total: 1000)
    #expect(recorder.take() == "")
    recorder.now += 0.5
    bar.update(10, loss: 0.7)
    #expect(recorder.take() == "epoch 1/4    1 %     10/1,000  loss  .700    20.0 reviews/s  ETA 00:50\n")
    recorder.now += 9.9
    bar.update(500)
    #expect(recorder.take() == "", "ten seconds have not passed")
    recorder.now += 0.2
    bar.update(501)
    #expect(recorder.take().hasPrefix("epoch 1/4   50 %    501/1,000  loss  .700"))
    recorder.now += 200
    bar.update(550)
    #expect(recorder.take() == "", "less than five per cent since")
    recorder.now += 1
    bar.update(551)
    #expect(recorder.take().hasPrefix("epoch 1/4   55 %"))
    recorder.now += 300
    bar.update(552)
    let afterFiveMinutes = recorder.take()
    #expect(afterFiveMinutes.hasPrefix("epoch 1/4   55 %    552/1,000"))
    bar.finish("epoch 1/4  08:31")
    #expect(recorder.take() == "epoch 1/4  08:31\n")
  }

  /// A day of steps is a few hundred lines, not a few hundred thousand.
  @Test func aLongLogStaysSmall() {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: false).progress("epoch", total: 86_400 * 4)
    for step in 1...86_400 * 4 {
      recorder.now += 0.25
      bar.update(step)
    }
    #expect(recorder.writeCount == 1 + 288 - 1)
    bar.finish()
  }

  @Test func shortPhasesLeaveOneLine() {
    let recorder = Recorder()
    let bar = recorder.screen(interactive: false).progress("data", total: 100)
    for step in 1...100 {
      recorder.now += 0.1
      bar.update(step)
    }
    bar.finish()
    #expect(recorder.text.split(separator: "\n").count == 1)
  }

  @Test func quietAndSilentShowNothing() {
    let recorder = Recorder()
    for screen in [recorder.screen(interactive: true, quiet: true), Screen.silent()] {
      let bar = screen.progress("epoch", total: 10)
      recorder.now += 100
      bar.update(5)
      bar.finish("a closing line")
    }
    #expect(recorder.writeCount == 0)
  }
}
