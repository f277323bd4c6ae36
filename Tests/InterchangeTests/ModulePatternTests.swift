import Failures
import Interchange
import TestSupport
import Testing

/// The regular expressions of PEFT's configurations, through ``PEFTModules``.
@Suite struct ModulePatternTests {
  static let query = "bert.encoder.layer.11.attention.self.query"

  private func matches(_ expression: String, _ name: String = query) throws -> Bool {
    var configuration = PEFTConfiguration(rank: 1, alpha: 1)
    configuration.targets = .pattern(expression)
    return try PEFTModules(configuration, source: "test").isTarget(name, isEmbedding: false)
  }

  @Test(arguments: [
    #".*"#, #".*query"#, #".*\.(key|query)"#, #"bert\.encoder\.layer\.\d+\.attention\.self\.(?:query|value)"#,
    #".*layer\.1[01]\..*\.query$"#, #"^bert[.\w]+$"#, #"bert\.[a-z]+\.[^.]{5}\.\d{1,2}.*?self.+"#,
    #"(?P<all>.*)"#, #".*\.layer\.(1|11)\..*"#, #"(a*)*.*"#, #"[\]bx]ert.*"#, #".*(|x)"#, #"b{1}ert.*"#,
    #"\A.*\Z"#,
    #"[a-z.]+\d\d\D+"#, #"b?e?.*"#, #"\Sert.*"#,
  ])
  func matching(expression: String) throws { #expect(try matches(expression)) }

  @Test(arguments: [
    #"query"#, #"bert"#, #".*\.value"#, #"BERT.*"#, #".*layer\.1\..*"#, #".*layer\.\d\.attention.*"#, #""#,
    #"bert\.encoder\.layer\.\d{3,}.*"#, #"[^b].*"#, #".*query.+"#, #"bert.*\$"#, #"x*"#, #".{41}"#,
    #".*a{2,3}.*"#,
  ])
  func notMatching(expression: String) throws { #expect(try !matches(expression)) }

  @Test(arguments: [
    "(", ")", "[a", "*a", "a**", "a{3,2}", "(?=a)", "(?!a)", "(?P=a)", "(?P<a", "\\", "[\\", "\\b", "\\1",
    "(?i)a", "((a{9999}){9999}){9999}", String(repeating: "(", count: 100),
    String(repeating: "a", count: 3000),
  ])
  func refused(expression: String) { expectFailure(.badContent, "pattern") { try matches(expression) } }

  /// Expressions that take a backtracking matcher longer than the universe is old.
  @Test(arguments: [#"(.*)*(.*)*(.*)*x"#, #"(a|a|.)*(a|a|.)*#"#, #"(.?){40}.{40}#"#, #"((.*)*)*#"#])
  func greedyPatternsEnd(expression: String) throws {
    let name = "bert." + String(repeating: "a", count: 200)
    #expect(try !matches(expression, name))
  }
}
