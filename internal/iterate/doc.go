// Package iterate is the layer that understands answers: referral, alias, data,
// denial, or nothing of use (RFC 1034, section 5.3.3; RFC 2308; RFC 6672).
//
// Everything that an answer contains passes the scrubber first. Kept is only
// what the server that was asked may speak about, and of that only what was
// asked for: the chain that starts at the name, a delegation that leads closer
// to it, the proof of a denial. Unasked records are dropped, never believed
// (CVE-2025-40778 and its kin).
//
// The layer also decides how much of the name a question shows (RFC 9156). It
// sends nothing, stores nothing and verifies no signature: which server is
// asked is the driver's choice, what is kept the cache's, what is genuine
// validate's.
package iterate
