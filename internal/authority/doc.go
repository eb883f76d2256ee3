// Package authority is a small Internet for demonstrations and tests: name
// servers on many loopback addresses and one port, UDP and TCP, that serve zones
// written as text.
//
// Which server has which zone is not configured: it is read from the zones. Each
// address of a name server named in any NS record becomes a Host; a Host has the
// zones whose own apex names it. A delegation to a server that the child does not
// name is therefore a lame one, as outside.
//
// Tests script a Host by Rules, each of which sees the answer about to be sent
// and may delay, change or drop it. hostile.go has what honest servers never do.
//
// A Zone is served as it is written, until Sign signs it (key.go, sign.go, nsec.go,
// nsec3.go). Signing makes all that a validator needs, out of seeds and times that
// the caller gives, and has three places where a test makes one thing wrong.
//
// Absent: zone transfer, update, and any care for hostile clients. Nothing here runs inside the resolver, which
// is why it may use miekg/dns's server.
package authority
