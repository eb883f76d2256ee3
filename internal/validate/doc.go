// Package validate is the layer that decides how much an answer may be believed (RFC
// 4033 to 4035, 6840): it proves what a zone signed, and that what is not signed need
// not be.
//
// It stands between iterate, which says where a record stood in a message, and cache,
// which keeps the rank; it is the only one that may raise a rank. An answer that the
// cache held was judged when it came.
//
// # How an answer is judged
//
// A set with a signature is signed by a zone, whose keys are believed because the DS
// set of its parent names one of them, and so on up to a trust anchor. The keys are a
// question of their own (DNSKEY), put on the plan, whose answer this layer judges by
// the DS set that came with the delegation, or else by a question for it (DS), whose
// answer is judged by the keys of the parent. So the chain of trust is walked by the
// resolution itself, from the answer up, and each link that was proven once is in the
// cache with its rank.
//
// A set without a signature is believed, as Insecure, only with a proof that a zone on
// the way to it is delegated without DS. Mostly the referral that led there has brought
// it: referrals are judged as they come, and the cut keeps the verdict. Where it has
// not, DS is asked for label by label from the closest zone with keys down.
//
// A denial is believed when the zone's NSEC or NSEC3 sets prove it.
//
// An answer that is not what its zone signed is refused: the driver asks another server
// of the zone, then the servers of a zone below that is proven to have keys, if there is
// one, and then the parent, which may have changed the delegation. Keys that were kept and
// do not fit are asked for once more before that. Keys and DS sets that cannot be believed
// are remembered for a while (RFC 9520), so that they do not cost questions for each name. What a client with CD=1 asks for
// is not judged, and is told to such clients only; nor are addresses of name servers that
// the resolver itself looks up, since what those servers say is proven or not by itself.
//
// # Reading this package
//
// From the top: layer.go (what is judged at all), answer.go (sets), denial.go (what does
// not exist), referral.go (delegations), insecure.go (what need not be signed), odd.go (what
// clients are told of that), chain.go (the keys of a zone), proof.go (the work on one answer
// and what it asks), memory.go (keys at hand, work that is done), inquiry.go (questions that
// failed).
//
// It never sends a message and never reads the clock: signatures are judged at the
// Request's Now. Proofs themselves are made in package dnssec; the anchors are those of
// package trustanchor, as they are when an answer comes.
package validate
