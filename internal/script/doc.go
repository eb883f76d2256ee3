// Package script is what functions of ours and Lua code have in common: how one calls
// the other, and what passes between them.
//
// A function is a Func: its words check the arguments and name wrong ones. An Object is a
// global table of functions and options, such as cache; a Class says what scripts can do
// with Go values that they only hold and pass on, as Handles; a Library is what require
// gives. All of them see one Call: its arguments and results, and how it waits without
// holding up others (Call.Wait, Call.StepAside, Outside). What scripts pass in comes as Go
// values (package luavalue) or, where it can only be kept and called, as a Ref.
//
// Who has the machine, and for how long, is package machine's to decide, below. Above
// stand the language itself (package language) and what reads commands and files
// (package command), which makes a whole machine: a VM made here has no globals but
// those that its caller gives it.
//
// The package knows no DNS: the globals that mean something to a resolver are
// in package bindings. Configuration compiles to Go values, so that queries do
// without Lua unless a script's function is to judge them.
//
// # Rooms
//
// From the ground up: a file stands on those before it.
//
//   - The machine and its values: absent.go (names that are nil, and why), vm.go (what a
//     machine consists of), output.go (what is printed), ref.go (a Lua value kept),
//     value.go (values in and out), keyorder.go (in which order a table was written).
//   - A call: evaluation.go (why code runs and how it ends), call.go (results and
//     errors), args.go (arguments), stack.go (all of it, for those who know the machine's
//     stack), withheld.go (what must change nothing outside).
//   - Work: jobs.go (from outside, and what waits), globals.go, table.go (a kept table is
//     looked into), callback.go (a kept function or coroutine goes on), load.go (text
//     becomes a function), packages.go (require, and where it looks).
//   - What bindings give to scripts: func.go (functions), documented.go (what there are
//     words about), object.go, handle.go, watched.go (tables that tell of keys they lack),
//     guard.go (assigning to globals), library.go (what require gives without a file),
//     environment.go (env).
//   - The whole: inspect.go (names and values, for who looks at a machine from outside) and
//     new.go.
//
// Three kinds of values know each other in a circle: what the machine remembers
// (vm.go) and turns into Lua values (value.go) are objects, handles, watched tables and
// refs too.
package script
