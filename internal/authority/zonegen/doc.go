// Package zonegen makes, out of a seed, an Internet of signed zones of which each
// has one thing wrong, and questions about them whose answers are known: by RCODE,
// and by whether a validator must find the answer secure, insecure or bogus (RFC
// 4033, section 5).
//
// What is known follows from how a zone was made, not from any validator: each
// question names the parts of its zone that its proof needs, and each damage the
// parts that it breaks. Where RFCs leave the verdict open it is Unclear, which
// validators may compare among each other.
//
// Reading this package: world.go (the tree, its questions), site.go (one zone and
// what hangs from it), then the damages: sets.go (a set or its signature), keys.go
// (keys, DS, rollovers), denials.go (what is not there), answers.go (servers that
// say something else than the zone has), servers.go (one of two does), shapes.go
// (nothing wrong, but rare). verdict.go compares what a validator says.
//
// The same seed, number and time give the same world. Absent: servers that are
// slow, dead or lossy.
package zonegen
