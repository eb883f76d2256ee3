package selection

import (
	"net/netip"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// Want says among which servers to choose.
type Want struct {
	Cut   *zonecut.Cut
	Tried *Tried
	// Sort is the sort of the question; 0: of any.
	Sort Sort
	// NoIPv4 and NoIPv6 leave out a family.
	NoIPv4, NoIPv6 bool
	// AnyAddress allows addresses that strangers may not name (ALLOW_LOCAL). In a cut that
	// the operator named all addresses are always allowed, but not port 0.
	AnyAddress bool
	// PublicOnly leaves out addresses of private networks, too (Local).
	PublicOnly bool
	// AskDead asks dead servers as if nothing were known of them (NO_THROTTLE).
	AskDead bool
	// Crowded tells that many questions wait for the zone's servers. Then no question is
	// Hurried, because a flood of questions for a silent zone would be multiplied by that
	// (HARDENING B6). While the query has asked nobody in vain, it counts for nothing.
	Crowded bool
	// Mute tells of a server that it is not to be asked; nil: all may be.
	Mute func(zonecut.Endpoint) bool
}

// Choice is the server to ask next.
type Choice struct {
	NS dnsname.Name
	// Endpoint is where the server is asked and how it must be spoken to.
	zonecut.Endpoint
	Timeout time.Duration
	// Hurried tells that Timeout is short because many others are to have their turn.
	Hurried bool
	Cannot  Ability
	// Tries is how often the query has asked the server in vain.
	Tries int
	// Known tells that the server has answered before; Silent that it does not at
	// present, and is asked to find out.
	Known, Silent bool
	// Encrypts tells that the server answers over TLS, too.
	Encrypts bool
	// Confirm asks over TCP, to learn for sure whether the server knows EDNS;
	// Resort does because UDP brought nothing.
	Confirm, Resort bool
}

// The classes of candidates, from the best to the worst. Among candidates of one
// class the score decides.
const (
	fit          = iota
	failing      // its name server has failed this query several times
	lame         // was useless for this zone before
	brokenFamily // its address family does not work
	resort       // UDP brought nothing: TCP is left
	unheard      // does not answer questions of other sorts at present
	silent       // does not answer at present
)

type candidate struct {
	Choice
	class int
	score time.Duration
	fresh bool // was never asked, or long ago
}

// Choose picks a server; ok is false when none is left. It is the fastest as far
// as is known.
func (s *Selector) Choose(w Want) (c Choice, ok bool) {
	var room [16]candidate // enough for most zones without allocating
	all := s.candidates(w, room[:0])
	best := bestClass(all)
	if len(best) == 0 {
		return Choice{}, false
	}
	if best[0].class == silent && !w.AskDead {
		return s.probe(w, best)
	}
	return s.shortened(w, s.pick(best), untried(best), len(all)), true
}

// shortened is the choice of c with less time to wait, if nothing is known of c and
// there is another server to ask. When servers mostly answer sooner, this one may be
// dead, and its answer is taken all the same when it comes late. The time is shortened
// once in a query, so that a zone whose servers are all silent gets no more questions
// by it.
//
// When one server has been in trouble and many are left of which nothing is known,
// each of them is waited for only so long that all have their turn soon: all but one
// may be dead. When several have been, that holds for those that were good before, too.
func (s *Selector) shortened(w Want, c candidate, untried, all int) Choice {
	trouble := w.Tried.Any() && !c.Known || w.Tried.many()
	if c.Hurried = trouble && c.Tries == 0 && untried > 1 && !w.Crowded; c.Hurried {
		c.Timeout = min(c.Timeout, limits.UDPRound/time.Duration(all))
	}
	if expected := s.firstAnswers.timeout(); !c.Known && untried > 1 && expected > 0 && !w.Tried.Any() {
		c.Timeout = min(c.Timeout, max(expected, limits.UDPHurry))
	}
	return c.Choice
}

// untried is how many of these the query has not asked in vain.
func untried(cs []candidate) (n int) {
	for i := range cs {
		if cs[i].Tries == 0 {
			n++
		}
	}
	return n
}

// candidates are the addresses that may be asked at all.
func (s *Selector) candidates(w Want, out []candidate) []candidate {
	now := s.now()
	for i := range w.Cut.NS {
		ns := &w.Cut.NS[i]
		for _, a := range ns.Addrs {
			e := s.Endpoint(ns, a)
			if !s.allowed(w, e.Addr) || contains(out, e) || w.Mute != nil && w.Mute(e) {
				continue
			}
			timeouts, ok := w.Tried.timeouts(e)
			if !ok {
				continue
			}
			out = append(out, s.judge(w, ns.Name, e, timeouts, now))
		}
	}
	return out
}

func (s *Selector) judge(w Want, ns dnsname.Name, e zonecut.Endpoint, timeouts int, now time.Duration) candidate {
	h := s.known().Load(keyOf(e)).faded(now)
	c := candidate{fresh: !h.Known() && h.Timeouts == 0, score: h.score(now) + h.spent(timeouts)}
	switch {
	case timeouts == 0 && w.Tried.inTrouble(ns):
		c.score += 2 * near // what is as good and belongs to another name server comes first
	case timeouts > 0 && w.Tried.many():
		c.score += limits.UDPMaxTimeout // all others come first
	}
	c.Choice = Choice{NS: ns, Endpoint: e, Timeout: h.Timeout(timeouts), Cannot: h.Cannot(now), Known: h.Known(), Encrypts: h.encrypts(now), Tries: timeouts}
	c.Confirm = e.Peer.Plain() && h.unconfirmed(now)
	// The last attempt tries TCP where UDP is usual, once in a query: a dead server
	// should not cost connections.
	c.Resort = e.Peer.Plain() && timeouts == limits.RetriesPerServer && c.Cannot&(NoTCP|NeedTCP) == 0 && !w.Tried.resorted
	switch {
	case h.silentTo(w.Sort, now):
		c.class, c.Silent = silent, true
	case now < h.DeadUntil:
		c.class, c.Timeout = unheard, h.firstTimeout()
	case c.Resort:
		c.class = resort
	case now < time.Duration(s.familyOf(e.Addr).until.Load()):
		c.class = brokenFamily
	case s.isLame(w.Cut.Name, e, now):
		c.class = lame
	case w.Tried.failing(ns):
		c.class = failing
	}
	return c
}

// Endpoint is a name server at one of its addresses.
func (s *Selector) Endpoint(ns *zonecut.NameServer, a netip.Addr) zonecut.Endpoint {
	return zonecut.Endpoint{Addr: netip.AddrPortFrom(a.Unmap(), s.port(ns)), Peer: ns.Peer}
}

// port is where a name server listens.
func (s *Selector) port(ns *zonecut.NameServer) uint16 {
	switch {
	case ns.Port != 0:
		return ns.Port
	case !ns.Peer.Plain():
		return ns.Peer.Protocol().Port()
	}
	return s.cfg.Port
}

func (s *Selector) allowed(w Want, addr netip.AddrPort) bool {
	a := addr.Addr()
	if !a.IsValid() || a.Is4() && w.NoIPv4 || a.Is6() && w.NoIPv6 {
		return false
	}
	if w.Cut.Hints {
		return true
	}
	return (w.AnyAddress || !Forbidden(a) && !(w.PublicOnly && Local(a))) && !s.cfg.Own(addr)
}

func contains(cs []candidate, e zonecut.Endpoint) bool {
	for i := range cs {
		if cs[i].Endpoint == e {
			return true
		}
	}
	return false
}

// bestClass keeps the candidates of the best class there is.
func bestClass(all []candidate) []candidate {
	class := silent
	for i := range all {
		class = min(class, all[i].class)
	}
	best := all[:0]
	for i := range all {
		if all[i].class == class {
			best = append(best, all[i])
		}
	}
	return best
}

// near is how much slower than the best a server may be and still count as
// equal, so that load and guesses are spread.
const near = 5 * time.Millisecond

// pick takes one of the fastest.
func (s *Selector) pick(cs []candidate) candidate {
	if len(cs) == 1 {
		return cs[0]
	}
	least := cs[0].score
	for i := range cs {
		least = min(least, cs[i].score)
	}
	return cs[s.oneOf(cs, func(c candidate) bool { return c.score <= least+near })]
}

// How often servers are asked only to learn about them: one question in so many
// for those of which nothing is known at all, and again in so many for others.
const (
	newOneIn   = 4
	otherOneIn = 5
)

// Beside picks a server to find out about while the chosen one, which is known to
// answer, is asked for the client. Most of the time there is none.
func (s *Selector) Beside(w Want, chosen Choice) (Choice, bool) {
	if w.Tried.Any() || s.Intn(newOneIn) != 0 || chosen.Confirm {
		return Choice{}, false
	}
	var room [16]candidate
	all := s.candidates(w, room[:0])
	good := s.oneOf(all, func(c candidate) bool { return c.Endpoint == chosen.Endpoint && c.Known && c.class == fit })
	if good < 0 {
		return Choice{}, false
	}
	i := s.oneOf(all, func(c candidate) bool { return c.fresh && c.class == fit })
	if i < 0 && s.Intn(otherOneIn) == 0 {
		i = s.oneOf(all, func(c candidate) bool { return c.Endpoint != chosen.Endpoint && c.class == fit })
	}
	if i < 0 || !s.known().Update(keyOf(all[i].Endpoint), Event{kind: probed, now: s.now()}) {
		return Choice{}, false // there is none, or another query is finding out about it
	}
	return all[i].Choice, true
}

// oneOf is the index of a random candidate that is wanted, -1 when none is.
// wanted gets a copy, so that the candidates can live on the stack.
func (s *Selector) oneOf(cs []candidate, wanted func(candidate) bool) int {
	n := 0
	for i := range cs {
		if wanted(cs[i]) {
			n++
		}
	}
	if n == 0 {
		return -1
	}
	skip := s.Intn(n)
	for i := range cs {
		if !wanted(cs[i]) {
			continue
		}
		if skip == 0 {
			return i
		}
		skip--
	}
	return -1
}

// probe spends one question on a server that is believed dead, if none was
// spent on it lately. A query gets one such try, at last where others are of no use.
func (s *Selector) probe(w Want, dead []candidate) (Choice, bool) {
	if w.Tried.probed {
		return Choice{}, false
	}
	start := s.Intn(len(dead))
	now := s.now()
	for i := range dead {
		c := dead[(start+i)%len(dead)]
		if s.known().Update(keyOf(c.Endpoint), Event{kind: probed, now: now}) {
			w.Tried.probed = true
			return c.Choice, true
		}
	}
	return Choice{}, false
}
