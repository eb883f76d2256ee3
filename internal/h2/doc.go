// Package h2 is the server's side of HTTP/2 (RFC 9113) as far as requests need it that are
// small and answered by one small response each: frames, heads (HPACK, RFC 7541), streams
// and flow control. It does not know what a request asks.
//
// A Conn does no I/O, starts no goroutine and has no lock: octets that came are handed to
// Next, which tells what has happened by one Event after the other, and what is to be sent
// is appended to a buffer of the caller's. So whoever reads a connection can answer at once
// what needs no waiting, and whoever has a later answer can word it, in turns.
//
// Server push, priorities and trailers have no meaning here: they are read and forgotten.
// Floods of frames are noticed by what they cost us (count.go); how long a client may take,
// and how much of its bodies is kept, are the caller's to decide.
package h2
