// Package trustanchor keeps the trust anchors of a worker: DS and DNSKEY records
// that an operator believes (RFC 4033, section 2), and the names at and below
// which nothing is to be validated (RFC 7646).
//
// A Store is changed by scripts and read by whoever validates as an immutable
// Snapshot. Key files are zone files in the format that Unbound and BIND share;
// a comment behind a record says in which state of RFC 5011 the key is, and a
// record inside a comment is a key that is known but not trusted.
//
// Absent until validation exists: fetching the first anchors (bootstrap) and
// following their changes (RFC 5011). Files are read, never written.
package trustanchor
