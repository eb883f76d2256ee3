package resolve

import "net/netip"

// IterState is what the iterate layer and the driver remember about one query
// between steps.
type IterState struct {
	// Probes counts minimised questions.
	Probes int
	// Whole tells that minimised questions have led as far as they can, or did not
	// go well: ask the whole one.
	Whole bool
	// Useless tells that the last minimised question got an answer of no use.
	Useless bool
	// Timeouts counts timeouts since the last progress.
	Timeouts int
	// Again is a server to ask once more, without EDNS when Plain is set.
	Again netip.AddrPort
	Plain netip.AddrPort
	// Fallback is an outcome that nobody vouches for; it is taken when no server
	// has a better one.
	Fallback *Outcome
}
