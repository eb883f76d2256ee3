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
// checks arguments, names wrong ones, and becomes the text of help().
//
// Go values that scripts only hold and pass on are Handles of a Class with
// methods and fields.
//
// The package knows no DNS: the globals that mean something to a resolver are
// in package bindings. Coroutines are absent. Configuration compiles to Go
// values, so that queries do without Lua unless a script's function is to judge
// them.
package script
