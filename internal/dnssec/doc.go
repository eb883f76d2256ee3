// Package dnssec proves what DNS data is worth: that a set was signed by a key,
// that a key is the one its parent names, that a name or type does not exist.
//
// Everything here is a function of octets that the caller has: no network, no
// clock, no cache, no state. Which proof is needed, with which keys, and what its
// failure means is decided in package validate. RDATA and names come in canonical
// form (package wire makes them so) and are put together once for each set.
//
// Reading this package: key.go (DNSKEY), algorithm.go and rsa.go (what a key can
// check), signature.go (RRSIG), canonical.go (what is signed), verify.go (a set, its
// signatures and the keys of a zone), ds.go (from the parent to the child's keys),
// denial.go with nsec.go, nsec3.go and refuted.go (what is not there), failure.go (why not).
//
// What costs is asked of a Meter before it is spent, since the octets are an
// attacker's (CVE-2023-50387, CVE-2023-50868).
//
// RFC 4033 to 4035, 5155, 5702, 6605, 6840, 8080, 8624, 9276, 9904 to 9906. Not
// here: trust anchors and their rollover (package trustanchor), SIG(0), TSIG.
package dnssec

import (
	"crypto/sha1"
	"crypto/sha256"

	"kresd/internal/dnsname"
)

// Meter bounds what proofs may cost. Each method is asked before the work is done
// and refuses it with an error, which ends the proof.
type Meter interface {
	// Verify allows one check of a signature, or one comparison of a digest.
	Verify() error
	// Failed takes note that no key had made a signature, and refuses further checks.
	Failed() error
	// Hash allows so many blocks of SHA-1 for the names of NSEC3.
	Hash(blocks int) error
}

// A Memory is a Meter that also knows which checks have succeeded: what a key once
// signed it has signed for good, so such a check costs nothing. The number of a check is
// a digest of the key, what is signed and the signature.
type Memory interface {
	Meter
	Known(check [sha256.Size]byte) bool
	Learn(check [sha256.Size]byte)
}

// A HashMemory is a Meter that also knows hashes of names in NSEC3 chains: one that is
// known costs nothing. It is asked about chains with iterations alone, since one hash
// without is had faster than remembered.
type HashMemory interface {
	Meter
	Hashed(n HashedName) (h [sha1.Size]byte, ok bool)
	LearnHash(n HashedName, h [sha1.Size]byte)
}

// A HashedName is a name to be hashed for a chain.
type HashedName struct {
	Chain Chain
	Name  dnsname.Name
}
