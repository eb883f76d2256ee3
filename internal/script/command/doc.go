// Package command reads what people write for a machine: commands of the console,
// expressions of map(), files of configuration. It answers in their words.
//
// An Interpreter is a whole machine: script.VM with the libraries of package language and
// the globals that belong to no part of the resolver (globals.go). A Session is one
// dialogue with it, whose commands share their local variables (session.go).
//
//   - In: which lines belong together (input.go, checker.go), what a line may mean (package
//     source), how it runs (eval.go, file.go).
//   - Out: a value as the console shows it (print.go) or as JSON (json.go), an error with
//     the line, a mark below the place, and the name that may be meant (mark.go,
//     fileerror.go).
//   - Beside: what may be typed next (complete.go, offered.go), and help() (help.go).
//
// The text between a client and its session is package console's; what a worker reads
// first and when it gives up is package worker's.
package command
