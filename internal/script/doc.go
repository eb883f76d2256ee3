// Package script runs the configuration and the console: one Lua machine, which
// one goroutine has at a time, its owner.
//
// The machine is github.com/Shopify/go-lua with the edits of
// scripts/go-lua.patch, completed here to what Lua 5.1 configurations expect:
// patterns, bit operations, dates, JSON, the console's printer, the guard of
// the global table. Everything that touches the machine is a job that its owner
// runs (VM.Do, VM.Post). Lua code runs on threads, each with a stack and a goroutine
// of its own, that hand the machine to each other. A binding that has to wait hands
// it to a thread that serves others meanwhile: only expressions mapped from other
// workers and requests that have to be judged by a script (Call.Wait, VM.Hook), or
// everything (Call.StepAside).
//
// A binding is a Func, or an Object with functions and options. Its metadata
// checks arguments and names wrong ones; with the words of package reference it becomes
// the text of help().
//
// Go values that scripts only hold and pass on are Handles of a Class with
// methods and fields.
//
// The package knows no DNS: the globals that mean something to a resolver are
// in package bindings. Configuration compiles to Go values, so that queries do
// without Lua unless a script's function is to judge them.
//
// # Rooms
//
// From the ground up: a file stands on those before it.
//
//   - Text: absent.go (names that are nil, and why), checker.go (whether more of a text is needed).
//   - The machine and its values: vm.go (what a machine consists of), ref.go (a Lua
//     value kept), value.go (values in and out), output.go (what is printed), fileerror.go,
//     keyorder.go (in which order a table was written), evaluation.go (why code runs and how it ends), call.go (a function of ours, and one call of it).
//   - Work: jobs.go (from outside, and what waits), callback.go (a kept function
//     is called), table.go (a kept table is looked into).
//   - What bindings give to scripts: func.go, object.go, handle.go, watched.go
//     (tables that tell of keys they lack), guard.go (the table of globals).
//   - Console and files: print.go, json.go, input.go (lines that belong together),
//     locals.go (commands that share them), offered.go (what text in quotes may become),
//     complete.go (what a name may become), mark.go (where an error is), help.go,
//     eval.go (commands), file.go.
//   - The language: lib_base.go, lib_garbage.go, lib_env.go, lib_format.go, lib_string.go,
//     lib_pattern.go, lib_table.go, lib_math.go, strftime.go, child.go
//     (commands of the shell), stream.go and stream_read.go (open files), withheld.go (what
//     a machine does that must change nothing outside), lib_io.go, lib_os.go, lib_coroutine.go, lib_debug.go, lib_load.go, lib_module.go,
//     lib_package.go, library.go (what require gives without a file).
//   - The whole: globals.go (what this package adds), libraries.go, selftest.go and
//     new.go.
//
// Three kinds of values know each other in a circle: what the machine remembers
// (vm.go) and turns into Lua values (value.go) are objects, handles, watched tables and
// refs too.
package script
