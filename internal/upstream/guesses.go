package upstream

import (
	"slices"

	"kresd/internal/limits"
	"kresd/internal/wire"
)

// guesses are the heads of the wrong answers that came to one port, each once:
// the octets that an answer must echo. Who guesses varies them. The same ones again
// make nothing more likely, however often they come: that is a broken server, or
// somebody who wants an end of the wait (HARDENING A7).
type guesses []string

// note adds the datagram that a has received, while one more counts.
func (g *guesses) note(a *udpQuery) {
	if len(*g) > limits.GuessesPerPort {
		return
	}
	head := a.buf[:min(a.got, len(a.buf), wire.HeaderLen+len(a.want.question))]
	if !slices.ContainsFunc(*g, func(old string) bool { return old == string(head) }) {
		*g = append(*g, string(head))
	}
}
