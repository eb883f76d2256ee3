// Package cache knows what is worth remembering of the DNS and for how long.
//
// Bytes lie in a Store that all workers share (lmdbcache); this package decides
// their keys (key.go) and their meaning (entry.go). Two kinds of entries
// serve the two ways of a query. The driver's way reads and writes RRsets,
// negative answers, delegations and failures: Layer looks before the network is
// asked and keeps what came back, and Cache is resolve.Cuts. The cached answer's
// way reads whole answers: one Fast for each listener's thread copies an entry,
// checks the copy, and lets package reply word it. Beside them lie the validated
// denials of each zone in the order of its chain (denial.go), for names that nobody
// asked for yet (aggressive.go).
//
// Whatever is read is checked before it is believed: it may come from another
// program, another version, a damaged disk or an attacker with access to the
// file. What fails is a miss, counted and deleted. Ranks decide who may read
// and who may overwrite; times are wall seconds, and a clock that jumps makes
// nothing live longer than its TTL.
//
// The package sends nothing, validates no signature and reads no clock: those
// who call say when it is.
package cache
