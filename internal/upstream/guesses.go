package upstream

import (
	"slices"

	"kresd/internal/wire"
)

// guesses are the beginnings of the wrong answers that came to one port, each once: the
// octets that an answer must echo. A forger who guesses varies them. Equal ones bring a
// forger no further, however often they come, so they do not count: they are sent by a
// broken server, or by somebody who wants the port to be given up (HARDENING A7).
type guesses []string

// note adds the datagram that a has received, unless it is known.
func (g *guesses) note(a *udpQuery) {
	head := a.buf[:min(a.got, len(a.buf), wire.HeaderLen+len(a.want.question))]
	if !slices.ContainsFunc(*g, func(old string) bool { return old == string(head) }) {
		*g = append(*g, string(head))
	}
}
