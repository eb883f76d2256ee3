// Package querylog is the module querylog: a line of JSON for each question of a
// client, or for those that failed or were blocked, in a file, in the journal or to a
// socket.
//
// Both ways of a query are seen. A question is a record of some sixty octets that is
// put into a ring (ring.go): each thread that answers from the cache has one of its own
// (module.Tally), so that it takes no lock, allocates nothing and waits for nobody; the
// driver's way, whose goroutines are many, has one behind a lock. One goroutine reads
// the rings, words the lines (line.go) and carries them out (writer.go, sink.go). When
// it cannot keep up, because a disk or a reader is slow, the rings fill, and what finds
// no room is counted and gone: a log must not be able to stop an answer.
//
// Who asked is written only where the configuration wants that. The package changes no
// answer and takes no part in resolutions.
package querylog
