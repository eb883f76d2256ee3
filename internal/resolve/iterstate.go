package resolve

import (
	"net/netip"

	"kresd/internal/dnsname"
)

// IterState is what the iterate layer and the driver remember about one query
// between steps.
type IterState struct {
	// Known is the longest name on the way to the query's that was asked under the
	// present cut and is no zone cut; "" at first.
	Known dnsname.Name
	// Probes counts minimised questions.
	Probes int
	// Whole tells that minimised questions did not go well: ask the whole one.
	Whole bool
	// Timeouts counts timeouts since the last progress.
	Timeouts int
	// Again is a server to ask once more, without EDNS when Plain is set.
	Again netip.AddrPort
	Plain netip.AddrPort
	// Fallback is an outcome that nobody vouches for; it is taken when no server
	// has a better one.
	Fallback *Outcome
}
