// Package dnslua shows DNS to scripts: the table kres with its constants and
// conversions, and the objects that stand for a request, its queries, an answer, an
// address, a set of flags.
//
// What a script holds are handles over Go values of package resolve. Views makes them
// for one machine and sees to it that a request is looked at only while its own
// goroutine waits: a script that keeps it longer gets an error and nothing else. The globals
// that act (resolve, policy, cache) are in package bindings and stand on this one.
//
// # Rooms
//
// From the ground up: a file stands on those before it.
//
//   - Words: numbers.go (what DNS calls its numbers), missed.go and constants.go (these
//     numbers as scripts read them), flags.go (how questions are resolved), loggroups.go.
//   - The worker: core.go (what of it scripts see).
//   - Messages: message.go (which knows no Lua), view.go (a request while a script may look
//     at it), flagset.go, args.go (arguments that many functions take), method.go (methods,
//     and what they give where they fail), octets.go, style.go and record.go (records and
//     text), rrset.go, answer.go (the packet that is the Result of a request), packet.go
//     (what scripts do with packets).
//   - Requests: query.go, array.go, selected.go, tracelog.go, request.go.
//   - Beside requests: lru.go, context.go (the worker and its cache).
//   - Libraries: ffi.go (what scripts written for LuaJIT call in C), zonefile.go.
//   - The whole: new.go, callback.go (functions that modules call).
//   - The table: kres.go.
package dnslua
