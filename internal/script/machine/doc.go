// Package machine decides who has the Lua machine, for how long, and what becomes of
// those who do not let go of it.
//
// The machine is github.com/Shopify/go-lua with the edits of scripts/go-lua.patch. One
// goroutine has it at a time. Whoever wants something of it queues a job (jobs.go), which
// runs as an Evaluation: on somebody's behalf, within a budget of time and memory, until
// its context ends (run.go, memory.go).
//
// Lua code runs on threads (thread.go), each a stack and a goroutine of its own, and the
// machine is handed from one to another in two ways. One that resumes another waits until
// that yields, returns or fails, and pays for its time: so coroutines are made
// (coroutine.go), and tasks, which a scheduler of ours resumes (task.go). One whose code
// waits for something outside leaves the machine to a fresh thread, which serves
// everything or only what is urgent, and queues for its return (turn.go). Code of an event
// that does not wait gives way to commands from time to time (giveway.go).
//
// Errors come out as an Error, which Lua code could have caught, or as an Interrupt,
// which it could not (errors.go), with the place where the code stood (place.go). What
// panics, in the machine or in a function of ours, becomes one of them (protect.go).
//
// What the values on a stack mean, what functions are called with and what globals there
// are is for packages above: here a function of ours is a lua.Function, and a value is
// kept (value.go) and not looked at.
package machine
