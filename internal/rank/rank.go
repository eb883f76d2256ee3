// Package rank says how much a set of records may be believed.
//
// The numbers are those that scripts see as kres.rank. A higher rank replaces
// a lower one in the cache; the reverse only when the higher one has expired
// (after RFC 2181, section 5.4.1). Nothing here decides a rank: iterate gives
// the first one from where a record stood in a message, validate the last.
package rank

// Rank is a trust level, to which Auth may be added.
type Rank uint8

// Ranks in rising order of trust, as far as they are comparable.
const (
	Initial  Rank = 0 // not judged yet
	Omit     Rank = 1 // not to be validated or cached
	Try      Rank = 2 // validate if possible, unvalidated is fine
	Indet    Rank = 4 // no trust anchor says anything
	Bogus    Rank = 5 // should be signed, is not valid
	Mismatch Rank = 6 // signed by the wrong zone
	Missing  Rank = 7 // signature missing
	Insecure Rank = 8 // proven to be in an unsigned zone, or nothing validates
	// Auth is added when the zone's own servers said it with AA; without it the
	// records came beside a referral (glue, the parent's NS).
	Auth   Rank = 16
	Secure Rank = 32
)

// IsSecure tells whether validation succeeded.
func (r Rank) IsSecure() bool { return r&Secure != 0 }

// IsAuth tells whether an authoritative server of the zone said so.
func (r Rank) IsAuth() bool { return r&Auth != 0 }

// IsBogus tells whether the records failed validation, so that they may be
// shown only to a client that asked with CD=1.
func (r Rank) IsBogus() bool {
	b := r &^ (Auth | Secure)
	return b == Bogus || b == Mismatch || b == Missing
}

// Answers tells whether records of this rank may stand in an answer to a
// client. Glue and other unasked data never do (RFC 2181, section 5.4.1).
func (r Rank) Answers() bool { return r.IsSecure() || r.IsAuth() }
