// Package trustanchor keeps the trust anchors of a worker: DS and DNSKEY records
// that an operator believes (RFC 4033, section 2), and the names at and below
// which nothing is to be validated (RFC 7646).
//
// A Store is changed by scripts and by what follows the keys of zones (module
// ta_update), and read by whoever validates as an immutable Snapshot. Key files are
// zone files in the format that Unbound and BIND share; a comment behind a record
// says in which state of RFC 5011 the key is, and a record inside a comment is a
// key that is known but not trusted. A file has one writer at a time, who holds its
// Lock and replaces it as a whole; everybody else reads it again.
//
// Reading this package: key.go (keys and sets of them), negative.go, store.go
// (Snapshot and Store), builtin.go (the root's keys), parse.go and print.go (the
// text of a file), file.go and lock.go (files), sighting.go (what a zone shows of
// its keys), rfc5011.go (what follows from that), timing.go (when to look).
//
// Nothing here asks the network or reads a clock. Fetching the first anchors of the
// root is package trustanchor/bootstrap's.
package trustanchor
