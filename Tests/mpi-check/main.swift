// The suite that runs under mpirun: every check at 1, 2, 3 and 4 ranks.
//
//   mpirun -np 4 mpi-check                   all checks; ends with "N passed, 0 failed"
//   mpirun -np 4 mpi-check fail RANK KIND    that rank fails in that way (FailModes.swift; driven by failures.sh)
//   mpirun -np 2 mpi-check measure           start of MPI, all-reduce by size
import Collectives
import Failures
import Glibc

let arguments = Array(CommandLine.arguments.dropFirst())
// failures.sh has a rank come late.
let isLate = arguments.last == "late"
do {
  let status: Int32 = try MPISession.run(program: "mpi-check", contactPatience: isLate ? 3 : 60) { world in
    switch arguments.first {
    case "fail": try fail(arguments.dropFirst().prefix(isLate ? 2 : .max), on: world)
    case "measure": try measure(world)
    default:
      let failed = try run(allChecks, on: world)
      if failed > 0 {
        try world.collectively { throw Failure(.other, "\(failed) of \(allChecks.count) checks failed") }
      }
    }
    return 0
  }
  exit(status)
} catch {
  // Only a process that nothing launched comes here; under mpirun the session says it and ends the job.
  let sentence = "mpi-check: \(error)\n"
  _ = sentence.withCString { write(STDERR_FILENO, $0, strlen($0)) }
  exit((error as? Failure)?.exitStatus ?? 1)
}
