// Manual pages from what the program says of its options: swift launch/lib/manual.swift FOLDER <help.json
//
// One page for the program and one for each command, in the man macros, named bert-ddp.1 and bert-ddp-COMMAND.1.
import Foundation

struct Help: Decodable {
  struct Command: Decodable {
    let commandName: String
    let abstract: String?
    let discussion: String?
    let subcommands: [Command]?
    let arguments: [Argument]?
    let shouldDisplay: Bool?
  }
  struct Argument: Decodable {
    struct Name: Decodable {
      let kind: String
      let name: String
    }
    let kind: String
    let shouldDisplay: Bool
    let sectionTitle: String?
    let names: [Name]?
    let valueName: String?
    let defaultValue: String?
    let abstract: String?
  }
  let command: Command
}

/// Text for troff: what would be a command or a dash of its own is neither.
func escaped(_ text: String) -> String {
  text.replacingOccurrences(of: "\\", with: "\\e").replacingOccurrences(of: "-", with: "\\-")
    .split(separator: "\n", omittingEmptySubsequences: false)
    .map { $0.hasPrefix(".") || $0.hasPrefix("'") ? "\\&" + $0 : String($0) }.joined(separator: "\n")
}

func written(_ argument: Help.Argument) -> String {
  let names = (argument.names ?? []).map { ($0.kind == "long" ? "--" : "-") + $0.name }
  let value = argument.kind == "option" ? " \\fI" + escaped(argument.valueName ?? "value") + "\\fR" : ""
  guard !names.isEmpty else { return "\\fI" + escaped(argument.valueName ?? "argument") + "\\fR" }
  return names.map { "\\fB" + escaped($0) + "\\fR" + value }.joined(separator: ", ")
}

func options(_ command: Help.Command) -> [String] {
  var lines: [String] = []
  var title: String?
  for argument in command.arguments ?? [] where argument.shouldDisplay {
    if argument.sectionTitle != title {
      title = argument.sectionTitle
      if let title { lines += [".SS \"\(escaped(title))\""] }
    }
    lines += [".TP", written(argument)]
    var text = argument.abstract ?? ""
    if let value = argument.defaultValue, !value.isEmpty, argument.kind == "option" { text += " (default: \(value))" }
    lines.append(escaped(text.isEmpty ? "\\&" : text))
  }
  return lines
}

/// A discussion keeps its lines: examples are in it.
func page(_ name: String, _ command: Help.Command, rest: [String]) -> String {
  var lines = [
    ".TH \"\(name.uppercased().replacingOccurrences(of: " ", with: "-"))\" 1", ".SH NAME",
    "\(escaped(name.replacingOccurrences(of: " ", with: "-"))) \\- \(escaped(command.abstract ?? ""))", ".SH SYNOPSIS",
    "\\fB\(escaped(name))\\fR" + (command.subcommands?.isEmpty == false ? " \\fIcommand\\fR" : "")
      + " [\\fIoption\\fR ...]",
  ]
  if let discussion = command.discussion, !discussion.isEmpty {
    lines += [".SH DESCRIPTION", ".nf", escaped(discussion), ".fi"]
  }
  return (lines + rest).joined(separator: "\n") + "\n"
}

let folder = URL(fileURLWithPath: CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : ".")
let help = try JSONDecoder().decode(Help.self, from: FileHandle.standardInput.readDataToEndOfFile())
let program = help.command.commandName
let commands = (help.command.subcommands ?? []).filter { $0.commandName != "help" && $0.shouldDisplay != false }
let statuses = [
  ("0", "done"), ("1", "anything that has no status of its own"), ("64", "wrong options"),
  ("65", "bad content in an input file"), ("66", "an input that is missing or unreadable"),
  ("74", "a write that failed; nothing that stood before is lost"),
  ("75", "stopped by a signal, a time limit or the stall watchdog; start again with --resume auto"),
  ("76", "the loss or a gradient is not finite"), ("78", "ranks, or run directory and command line, disagree"),
]

var rest = [".SH COMMANDS"]
for command in commands {
  rest += [
    ".TP", "\\fB\(escaped(command.commandName))\\fR",
    escaped(command.abstract ?? "") + " See \\fB\(escaped("\(program)-\(command.commandName)"))\\fR(1).",
  ]
}
rest += [".SH EXIT STATUS"] + statuses.flatMap { [".TP", $0.0, escaped($0.1)] }
rest += [".SH ENVIRONMENT", ".TP", "\\fBNO_COLOR\\fR", "No colours on a terminal."]
try page(program, help.command, rest: rest).write(
  to: folder.appendingPathComponent("\(program).1"), atomically: true, encoding: .utf8)
for command in commands {
  let rest = [".SH OPTIONS"] + options(command) + [".SH SEE ALSO", "\\fB\(escaped(program))\\fR(1)"]
  try page("\(program) \(command.commandName)", command, rest: rest).write(
    to: folder.appendingPathComponent("\(program)-\(command.commandName).1"), atomically: true, encoding: .utf8)
}
