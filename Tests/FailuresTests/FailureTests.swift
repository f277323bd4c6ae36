import Failures
import Testing

@Suite struct FailureTests {
  /// The exit statuses that scripts rely on.
  @Test(
    arguments: [
      (Failure.Kind.usage, 64), (.badContent, 65), (.noInput, 66), (.cannotWrite, 74), (.stopped, 75),
      (.notFinite, 76), (.disagreement, 78), (.other, 1),
    ] as [(Failure.Kind, Int32)])
  func kindsHaveThePublishedStatuses(_ kind: Failure.Kind, _ status: Int32) {
    let failure = Failure(kind, "what, where, what to do")
    #expect(failure.exitStatus == status)
    #expect((1...125).contains(failure.exitStatus), "MPI_Abort needs 1 to 125 for mpirun to report it")
    #expect("\(failure)" == "what, where, what to do")
  }

  @Test func failuresAreEqualByKindAndMessage() {
    #expect(Failure(.usage, "a") == Failure(.usage, "a"))
    #expect(Failure(.usage, "a") != Failure(.usage, "b"))
    #expect(Failure(.usage, "a") != Failure(.other, "a"))
  }
}
