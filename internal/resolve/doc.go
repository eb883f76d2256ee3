// Package resolve drives a client's question to its answer.
//
// The Driver decides when to do what, never how: it takes the top query off the
// request's Plan, lets the layers produce an answer (cache, hints, policy),
// finds the zone cut and a server, sends through an Exchanger, and lets the
// layers consume what came back. What an answer means is known by the iterate
// layer, whether it is genuine by validate, what to keep by cache.
//
// The package opens no socket, touches no database, runs no Lua and never reads
// the clock: the Request says when it is.
package resolve
