// Package dns64 is the module dns64: clients that have IPv6 only are told addresses by which a
// translator leads them to hosts that have IPv4 only (RFC 6147).
//
// Where a name has no AAAA records, or only excluded ones, its A records are asked for, as a
// sub-query of the same request, and their addresses are told behind the prefix (RFC 6052,
// section 2.2; address.go). That is done when the answer has been judged and its records kept,
// and before it is kept as a whole: cached answers cost no more, and those of another prefix
// are kept apart (Shape). Who sets CD does that work himself and gets the records as they are,
// and so does a client whom a rule gives the flag DNS64_DISABLE.
//
// Names of such addresses are aliases to the names of the IPv4 addresses (section 5.3.1), and
// ipv4only.arpa, by which hosts find the prefix (RFC 7050), is answered here and not looked up
// (RFC 8880, section 7.1).
package dns64
