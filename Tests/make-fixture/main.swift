import Failures
import Glibc

// make-fixture DIRECTORY: writes tiny models and data there, for scripts that test the commands on a bare machine.
do {
  guard CommandLine.arguments.count == 2 else {
    throw Failure(.usage, "expected one argument: the directory to write to")
  }
  let directory = CommandLine.arguments[1]
  try TinyModel.writeAll(in: directory)
  try TinyData.writeAll(in: directory)
} catch {
  print("make-fixture: \(error)")
  exit((error as? Failure)?.exitStatus ?? 1)
}
