// Package script runs the configuration and the console: one Lua machine with
// one owner goroutine.
//
// The machine is github.com/Shopify/go-lua with the edits of
// scripts/go-lua.patch, completed here to what Lua 5.1 configurations expect:
// patterns, bit operations, dates, JSON, the console's printer, the guard of
// the global table. Everything that touches the machine runs on the owner
// goroutine (VM.Do, VM.Post); a binding that has to wait gives the owner away
// only to expressions mapped from other workers and to requests that have to be
// judged by a script (Call.Wait, VM.Hook).
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
