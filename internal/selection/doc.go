// Package selection decides which address of a zone's name servers is asked
// next, and how long its answer is waited for.
//
// What it knows of an address is a Host: the smoothed round-trip time (RFC
// 6298), timeouts in a row, abilities. Everything fades: a server that was slow,
// dead or unable gets another chance. Hosts live behind the Memory interface, in
// a table that all workers share (shared.go) or, failing that, in a map.
// How long an answer is waited for is how long until another try is made: what
// comes later is taken all the same (resolve.Late), so the wait may be short. Dead
// is an address only that was silent for limits.SilentTime.
//
// Whether an answer was useful is iterate's judgement; the driver reports it.
//
// Nothing is sent from here, and no name is resolved.
package selection
