// Package reply words what a client is told: one Result becomes the octets of
// one message.
//
// It works in two steps, because answers are kept. Make turns a Result into a
// Body: header, question and sections, without anything that belongs to one
// client. Finish turns a Body into the message for one question: its ID, its
// spelling of the name, its flags, TTLs of the right age, an OPT record if it
// brought one, and no more octets than it can take. The driver's way does both
// at once (Build); the cached answer's way does Finish on a Body that it read
// from the cache. So both say the same. What denies many names at once is kept as
// a Denial, which becomes a Body for one of them. Make and Build work in the memory of
// a Room, which is used for one answer after the other.
//
// The package decides nothing about names, ranks or policies, and Finish and
// Error allocate nothing.
package reply
