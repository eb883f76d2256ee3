// Package servestale is the module serve_stale: where no server of a zone can be
// reached, it answers with what the cache knew (RFC 8767).
//
// It decides at two moments. When a request is accepted for which there is something
// old to tell, its time is cut to the timeout: clients do not wait long. And when
// the resolution has failed, because no server answered in that time, all are
// known not to, or none was of use, the old answer takes the failure's place, with
// a TTL of 1 s and an extended error that says that it is old. A failure stays one
// where servers could be reached and something else was wrong.
//
// Only what cannot be refreshed is old: what an alias of old leads to is asked for, as
// a request of its own that no rule judges again.
//
// Old answers are never stored as fresh. A question that was given up on account
// of its time is tried further in the background, so that slow servers are heard
// in the end; meanwhile others who ask the same get the old answer at once. After
// a failure the cache remembers it (RFC 9520), with the same effect.
//
// The module stores nothing itself: expired entries stay in the cache until room
// is needed. It is loaded as 'serve_stale < cache'.
package servestale
