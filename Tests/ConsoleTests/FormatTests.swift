import Console
import Testing

@Suite struct FormatTests {
  @Test(arguments: [
    (0, "0"), (7, "7"), (999, "999"), (1000, "1,000"), (177_854_978, "177,854,978"), (-12_345, "-12,345"),
    (-100, "-100"), (.max, "9,223,372,036,854,775,807"), (.min, "-9,223,372,036,854,775,808"),
  ])
  func count(value: Int, expected: String) {
    #expect(Format.count(value) == expected)
  }

  @Test(arguments: [
    (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1_048_575, "1.0 MiB"),
    (711_440_000, "678.5 MiB"),
    (2 << 30, "2.0 GiB"), (-2048, "-2.0 KiB"), (.max, "8.0 EiB"), (.min, "-8.0 EiB"),
  ])
  func bytes(value: Int, expected: String) {
    #expect(Format.bytes(value) == expected)
  }

  @Test(arguments: [
    (0, "00:00"), (59.4, "00:59"), (59.6, "01:00"), (65, "01:05"), (3599.4, "59:59"), (3599.6, "1:00:00"),
    (3661, "1:01:01"), (360_000, "100:00:00"), (-0.2, "00:00"), (-3, "--:--"), (.nan, "--:--"),
    (.infinity, "--:--"),
    (1e300, "--:--"),
  ])
  func duration(seconds: Double, expected: String) {
    #expect(Format.duration(seconds) == expected)
  }

  @Test(arguments: [
    (0.871, ".871"), (0.8706, ".871"), (1, "1.000"), (0, ".000"), (1.386_29, "1.386"), (-0.25, "-.250"),
    (-0.0001, "-.000"),
    (.nan, "nan"), (.infinity, "inf"), (-.infinity, "-inf"), (0.9999, "1.000"),
  ])
  func figure(value: Double, expected: String) {
    #expect(Format.figure(value) == expected)
  }

  @Test func percentIntervalAndRate() {
    #expect(Format.percent(0.003316) == "0.33 %")
    #expect(Format.percent(1, digits: 0) == "100 %")
    #expect(Format.interval(0.8681, 0.8739) == "[.868, .874]")
    #expect(Format.rate(34.54) == "34.5")
    #expect(Format.rate(99.96) == "100")
    #expect(Format.rate(12_345.6) == "12,346")
    #expect(Format.rate(.infinity) == "inf")
    #expect([6.666666e-4, 2e-5, 1.23456e-7, 0].map(Format.short) == ["0.000667", "2e-05", "1.23e-07", "0"])
    #expect(Format.short(.nan) == "nan")
    #expect([1, 4, 1200].map { Format.count($0, of: "thread") } == ["1 thread", "4 threads", "1,200 threads"])
  }

  @Test func fixedHoldsTheLongestNumber() {
    #expect(Format.fixed(.greatestFiniteMagnitude, digits: 30).utf8.count == 309 + 1 + 30)
    #expect(Format.fixed(2.5, digits: 0) == "2")
    #expect(Format.fixed(2.5, digits: -1) == "2")
  }
}
