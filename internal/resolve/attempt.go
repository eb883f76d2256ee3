package resolve

import (
	"context"
	"errors"
	"sync"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// await waits for late answers when there is nobody else to ask. While it waits, it has
// one of the zone's places like any question that waits for servers. goOn tells that q has
// a next step: an answer has come, or, where q is hurried, the wait was cut short and is
// gone on with after another look for servers.
func (s *solver) await(q *Query) (goOn bool) {
	if q.run.late.open == 0 {
		return false
	}
	place, free := s.enter(q.Cut)
	if !free {
		return false
	}
	defer func() { s.zones.Leave(place, q.run.phase == phaseConsume) }()
	if s.r.Tell != nil {
		s.r.Tell(q, WaitsForLate{})
	}
	s.r.WillWait()
	ctx := s.r.ctx
	hurried := s.isHurried(q)
	if hurried {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, limits.UDPHurry)
		defer end()
	}
	r, ok := q.run.late.wait(ctx)
	for ok && s.failedLate(q, r) {
		r, ok = q.run.late.wait(ctx)
	}
	switch {
	case ok:
		s.answered(q, r.attempt, r.reply)
	case hurried:
		s.trouble(q)
	}
	return ok || hurried && q.run.late.open > 0
}

// answeredLate is an answer to an earlier attempt, if one has come.
func (s *solver) answeredLate(q *Query) (r lateReply, ok bool) {
	r, ok = q.run.late.poll()
	for ok && s.failedLate(q, r) {
		r, ok = q.run.late.poll()
	}
	return r, ok
}

// failedLate tells whether an attempt that has ended after its time has failed, and notes
// what that says about the server. A silence over UDP was noted when the time was over.
func (s *solver) failedLate(q *Query, r lateReply) bool {
	if why, ok := errors.AsType[*Unauthenticated](r.err); ok {
		q.run.faults.failed(r.choice.Addr, r.err)
		s.stranger(q, r.choice, why)
	}
	if r.err != nil && r.reply.TCP && s.r.ctx.Err() == nil && !errors.Is(r.err, ErrBudget) && !errors.Is(r.err, ErrLocal) {
		s.withoutTCP(q, r.choice)
	}
	return r.err != nil
}

// want says among which servers to choose for q.
func (s *solver) want(q *Query) selection.Want {
	return selection.Want{
		Cut: q.Cut, Tried: &q.run.tried, Sort: sortOf(q.Type),
		Crowded: q.run.tried.Any() && s.zones.Taken(q.Cut.Name) > limits.HurriedPerZone,
		NoIPv4:  q.Options.NoIPv4, NoIPv6: q.Options.NoIPv6,
		AnyAddress: q.Options.AnyAddress, PublicOnly: q.Options.PublicOnly, AskDead: q.Options.AskSilent, Mute: s.mute(q),
	}
}

// moveTo goes on with the servers of a cut, or some of them.
func (s *solver) moveTo(q *Query, cut *zonecut.Cut) {
	q.moveTo(s.cfg.Servers.Few(selection.Want{
		Cut: cut, NoIPv4: q.Options.NoIPv4, NoIPv6: q.Options.NoIPv6,
		AnyAddress: q.Options.AnyAddress, PublicOnly: q.Options.PublicOnly,
	}))
}

// aim notes in q which server is asked, and how.
func (s *solver) aim(q *Query, c selection.Choice) {
	q.run.ns.asked = c.NS
	if c.Resort {
		q.run.tried.Resorted()
	}
	q.Server = serverOf(q, c)
	q.Server.Encrypted = s.encrypts(q, c)
	q.Asked = q.Question
}

// serverOf is the chosen server and how q is asked there. What a layer inquires about
// zones (Literal) is of no use without signatures, and so not without EDNS.
func serverOf(q *Query, c selection.Choice) Server {
	return Server{
		Endpoint: c.Endpoint,
		TCP:      q.Options.TCPOnly || c.Cannot&selection.NeedTCP != 0 || c.Confirm || c.Resort,
		NoEDNS:   q.Options.NoEDNS && !q.Literal || c.Cannot&selection.NoEDNS != 0 && !signed(q) || q.run.retry.plain == c.Addr,
		NoCase:   q.Options.KeepCase || q.run.retry.bare == c.Addr || q.run.retry.lower == c.Addr || c.Cannot&selection.NoCase != 0,
	}
}

// toward is a server as the Exchanger is to ask it.
func (d *Driver) toward(to Server) Server {
	if to.Encrypted {
		to.Endpoint, to.Encrypted = d.cfg.Servers.Encrypted(to.Endpoint), false
		to.TCP, to.NoCase = false, false
	}
	return to
}

// signed tells whether the parent said that the zone has keys. The servers of such a zone
// are asked with EDNS, without which they send no signatures, even if one of them seemed
// not to know EDNS.
func signed(q *Query) bool {
	return q.Cut.DS != nil && q.Cut.DS.Type == wire.TypeDS && q.Cut.DS.Owner == q.Cut.Name
}

func (s *solver) checkout(q *Query) error {
	for _, l := range s.layers {
		if l.Checkout != nil && l.Checkout(s.r, q) == Fail {
			return s.r.failedIn(l)
		}
	}
	return nil
}

// exchange asks the chosen server. An error ends the query. A failure of the server or of
// the network is no error here: the query goes on with another attempt.
func (s *solver) exchange(q *Query, c selection.Choice) error {
	q.run.sends++
	if s.r.Plan.Remember {
		q.Sent = time.Now()
	}
	if q.Depth > 0 {
		s.r.work.silences.change(c.Endpoint, q.Cut.Name, 1, 0)
	}
	s.tellAsking(q, c)
	s.explore(q, c)
	s.findTLS(q, c)
	a := attempt{q.Server, q.Asked, c}
	x := s.exchangeOf(q, q.Server, c)
	x.Tell = s.teller(q)
	if x.Queue = q.run.queue; !c.Silent { // a dead server's answer is not worth a longer wait
		x.Late = &q.run.late
	}
	if x.Reception = s.r.Reception; q.run.late.open > 0 { // an earlier one may be answered meanwhile
		x.WillWait()
	}
	alone, sent := s.r.work.beside.Load() == 0, s.r.Budget.Sent() // look-ups that end meanwhile have sent, too
	reply, err := s.cfg.Exchanger.Exchange(q.run.late.begin(s.r.ctx, a), x)
	if alone { // an exchange may send more than once, as over TCP too
		q.run.sends += max(s.r.Budget.Sent()-sent-1, 0)
	}
	q.run.late.finish()
	if err == nil {
		s.answered(q, a, reply)
		return nil
	}
	if earlier, ok := s.answeredLate(q); ok {
		s.answered(q, earlier.attempt, earlier.reply)
		return nil
	}
	return s.unanswered(q, c, reply, err)
}

// teller is what an exchange of q tells its steps to; nil when nobody reads along.
func (s *solver) teller(q *Query) func(Step) {
	if s.r.Tell == nil {
		return nil
	}
	return func(step Step) { s.r.Tell(q, step) }
}

// answered takes the answer to an attempt, which may be an earlier one than the last.
func (s *solver) answered(q *Query, a attempt, reply Reply) {
	q.Server, q.Asked, q.run.ns.asked = a.server, a.asked, a.choice.NS
	s.cfg.Servers.Answered(a.server.Endpoint, learnt(a.server, a.choice, reply))
	s.answers(a.server.Endpoint)
	q.run.tried.Answered(a.choice.NS, a.server.Endpoint)
	if !a.server.Peer.Plain() {
		s.proven(a.server.Endpoint)
	}
	s.r.work.inVain.answered(q.Cut.Name)
	s.r.work.silences.over(a.server.Endpoint, q.Cut.Name)
	if s.r.Tell != nil {
		s.r.Tell(q, Replied{s.toward(q.Server).Endpoint, reply})
	}
	q.run.msg, q.RTT, q.run.retry.refused = reply.Msg, reply.RTT, nil
	q.Outcome = Outcome{}
	q.enter(phaseConsume)
}

// stranger notes that a server did not prove to be the one that was meant.
func (s *solver) stranger(q *Query, c selection.Choice, why *Unauthenticated) {
	s.strangers.Put(c.Endpoint, why, limits.UpstreamSessions)
	s.cfg.Servers.NotServing(c.Endpoint)
	q.run.tried.Reject(c.NS, c.Endpoint)
}

// proven forgets that a server once did not prove to be the one that was meant.
func (d *Driver) proven(e zonecut.Endpoint) {
	if stranger, _ := d.strangers.Get(e); stranger != nil {
		d.strangers.Put(e, nil, limits.UpstreamSessions)
	}
}

// exchangeOf is q as a question to a server.
func (s *solver) exchangeOf(q *Query, to Server, c selection.Choice) Exchange {
	return Exchange{
		Server: s.toward(to), Question: q.Asked, CD: s.r.CD && q.Forwards(), RD: q.Forwards(),
		Timeout: c.Timeout, Hurry: c.Hurried, Again: c.Tries > 0, NoCookie: q.run.retry.bare == c.Addr, Budget: s.r.Budget, PerServer: s.cfg.Limits().PerServer, Infrastructure: infrastructure(q.Cut), Zone: q.Cut.Name,
	}
}

// learnt is what an answer tells about the server, which was asked as to says.
func learnt(to Server, c selection.Choice, reply Reply) selection.Answer {
	a := selection.Answer{RTT: reply.RTT, First: !c.Known, TCP: reply.TCP, TLS: to.Encrypted, Resort: c.Resort && reply.TCP, CaseLost: reply.CaseLost}
	switch {
	case reply.Msg.HasEDNS:
		a.EDNS = selection.EDNSWorks
	case reply.Msg.Rcode == wire.RcodeFormErr && !to.NoEDNS:
		a.EDNS = selection.EDNSRefused
	}
	return a
}

// unanswered notes what a failed attempt says about the server. An error ends the query.
func (s *solver) unanswered(q *Query, c selection.Choice, reply Reply, err error) error {
	if s.r.Tell != nil {
		s.r.Tell(q, Silent{s.toward(q.Server).Endpoint, reply.TCP, err})
	}
	if s.inClear(q, c, err) {
		return nil
	}
	q.run.faults.failed(c.Addr, err)
	s.remember(c.Endpoint, err)
	switch {
	case q.Depth == 0:
	case errors.Is(err, ErrTimeout), errors.Is(err, ErrOverdue):
		s.r.work.silences.change(c.Endpoint, q.Cut.Name, 0, 1)
	default: // the server was not silent: the question is not counted
		s.r.work.silences.change(c.Endpoint, q.Cut.Name, -1, 0)
	}
	if !errors.Is(err, ErrBudget) && s.r.ctx.Err() == nil {
		defer s.trouble(q)
	}
	_, sourceless := noSource(err)
	stranger, known := errors.AsType[*Unauthenticated](err)
	switch {
	case LimitOf(err) == limits.TCPConnsRequest: // another server may do without
		q.run.tried.Reject(c.NS, c.Endpoint)
	case errors.Is(err, ErrBudget):
		return err
	case s.r.ctx.Err() != nil:
		return nil // the loop says why it ends
	case sourceless, errors.Is(err, ErrNoRoute): // the other family may work
		q.run.sends-- // nothing was
		s.cfg.Servers.NoRoute(c.Endpoint)
		q.run.tried.Reject(c.NS, c.Endpoint)
	case errors.Is(err, ErrBusy) && !q.run.queue: // another server may have room
		q.run.tried.Busy(c.Endpoint)
	case errors.Is(err, ErrLocal):
		return s.noSocket(q)
	case reply.TCP && errors.Is(err, ErrOverdue):
		q.run.tried.Overdue(c.NS, c.Endpoint)
	case !c.Peer.Plain() && errors.Is(err, ErrOverdue): // nor is it asked twice over one connection
		s.cfg.Servers.TimedOut(c.Endpoint, sortOf(q.Asked.Type))
		q.run.tried.Overdue(c.NS, c.Endpoint)
	case reply.TCP:
		s.withoutTCP(q, c)
	case reply.Nonsense != NoNonsense:
		s.cfg.Servers.TimedOut(c.Endpoint, sortOf(q.Asked.Type))
		q.run.tried.Nonsense(c.NS, c.Endpoint, reply.Nonsense == NonsenseByTCP)
	case errors.Is(err, ErrTimeout):
		s.timedOut(q, c)
	case errors.Is(err, ErrErring):
		s.cfg.Servers.Lame(q.Cut.Name, c.Endpoint)
		q.run.tried.Reject(c.NS, c.Endpoint)
	case known:
		s.stranger(q, c, stranger)
	case notServing(err):
		s.cfg.Servers.NotServing(c.Endpoint)
		q.run.tried.Reject(c.NS, c.Endpoint)
	case errors.Is(err, ErrUnreachable):
		s.cfg.Servers.Unreachable(c.Endpoint)
		q.run.tried.Reject(c.NS, c.Endpoint)
	default:
		q.run.tried.Reject(c.NS, c.Endpoint)
	}
	return nil
}

func (s *solver) timedOut(q *Query, c selection.Choice) {
	q.run.retry.timeouts++
	s.cfg.Servers.TimedOut(c.Endpoint, sortOf(q.Asked.Type))
	q.run.tried.TimedOut(c.NS, c.Endpoint)
}

// withoutTCP notes that an attempt failed over TCP. That says little about the server's
// UDP: where TCP was not needed but chosen here, the next attempt is over UDP.
func (s *solver) withoutTCP(q *Query, c selection.Choice) {
	s.cfg.Servers.TCPFailed(c.Endpoint)
	switch {
	case c.Confirm && !c.Resort && !q.Options.TCPOnly:
	case c.Resort, c.Cannot&selection.NeedTCP != 0 && !q.Options.TCPOnly:
		s.timedOut(q, c)
	default:
		q.run.tried.Reject(c.NS, c.Endpoint)
	}
}

// noSocket has the query try once more, because there may be a socket by then. The second
// time it is an error.
func (s *solver) noSocket(q *Query) error {
	if q.run.noSocket {
		return ErrLocal
	}
	q.run.noSocket = true
	return nil
}

// explore sends the question also to a server of which little is known, beside the good
// one that is asked for the client. So no client waits for a server that may be dead or
// far away in order that others learn about it. The answer serves for nothing else:
// forging it gains nothing. It leaves before the client's, so that nothing is asked any
// more for a client that has its answer; a machine that is busy may not let it. What a layer
// inquires (Literal) is not sent twice: that is DNSKEY right after a zone's first answer, of
// which the zone may have no second, and where it has, that question serves as well.
func (s *solver) explore(q *Query, asked selection.Choice) {
	if !s.cfg.Explore || q.Literal {
		return
	}
	c, ok := s.cfg.Servers.Beside(s.want(q), asked)
	if !ok {
		return
	}
	place, ok := s.enter(q.Cut)
	if !ok {
		return
	}
	if s.exploring.Add(1) > limits.ExploringAtOnce {
		s.exploring.Add(-1)
		s.zones.Leave(place, true)
		return
	}
	if s.r.Tell != nil {
		s.r.Tell(q, Explored{peer(q, c)})
	}
	x := s.exchangeOf(q, serverOf(q, c), c)
	x.Timeout = limits.UDPMaxTimeout // nobody waits, and slow is not dead
	left := make(chan struct{})
	x.Sent = sync.OnceFunc(func() { close(left) })
	if x.TCP || !x.Peer.Plain() {
		x.Sent() // nobody waits for a connection
	}
	s.panics.Go("explore", func() {
		defer x.Sent()
		defer s.exploring.Add(-1)
		reply, err := s.cfg.Exchanger.Exchange(s.cfg.Context, x)
		s.zones.Leave(place, err == nil)
		s.found(&x, c, reply, err)
	})
	s.awaitLeaving(left)
}

// awaitLeaving waits until a question that explores has left, but not for a busy machine.
func (s *solver) awaitLeaving(left <-chan struct{}) {
	select {
	case <-left:
		return
	default:
	}
	s.r.WillWait()
	select {
	case <-left:
	case <-time.After(limits.ExploringAhead):
	}
}

// findTLS finds out, beside a question in the clear, whether the server listens for TLS, by
// asking the same there. That is debited to a budget of its own, not to the request's.
func (s *solver) findTLS(q *Query, c selection.Choice) {
	if q.Server.Encrypted || c.Encrypts || c.Cannot&selection.NoTLS != 0 || c.Silent || !s.opportune(q, c) || s.r.work.tlsProbes.Load() >= limits.TLSProbes {
		return
	}
	if s.exploring.Add(1) > limits.ExploringAtOnce || !s.cfg.Servers.TryTLS(c.Endpoint) {
		s.exploring.Add(-1)
		return
	}
	s.r.work.tlsProbes.Add(1)
	to := serverOf(q, c)
	to.Encrypted = true
	x := s.exchangeOf(q, to, c)
	x.Budget, x.Timeout = NewBudget(s.cfg.Counters), limits.TLSProbe
	if s.r.Tell != nil {
		p := peer(q, c)
		p.Addr = x.Addr
		s.r.Tell(q, Explored{p})
	}
	s.panics.Go("find tls", func() {
		defer s.exploring.Add(-1)
		ctx, end := context.WithTimeout(s.cfg.Context, limits.TLSProbe)
		defer end()
		reply, err := s.cfg.Exchanger.Exchange(ctx, x)
		switch {
		case err == nil:
			s.cfg.Servers.Answered(c.Endpoint, learnt(to, c, reply))
		case s.cfg.Context.Err() != nil, errors.Is(err, ErrLocal):
		default:
			s.cfg.Servers.TLSFailed(c.Endpoint, limits.TLSDamping)
		}
	})
}

// found takes note of what exploring showed.
func (d *Driver) found(x *Exchange, c selection.Choice, reply Reply, err error) {
	switch {
	case err == nil:
		d.cfg.Servers.Answered(c.Endpoint, learnt(x.Server, c, reply))
		d.answers(c.Endpoint)
	case d.cfg.Context.Err() != nil, errors.Is(err, ErrBudget), errors.Is(err, ErrLocal):
	case reply.TCP:
		d.cfg.Servers.TCPFailed(c.Endpoint)
	case errors.Is(err, ErrTimeout):
		d.cfg.Servers.TimedOut(c.Endpoint, sortOf(x.Type))
	case notServing(err):
		d.cfg.Servers.NotServing(c.Endpoint)
	case errors.Is(err, ErrUnreachable):
		d.cfg.Servers.Unreachable(c.Endpoint)
	}
}

// Only so many questions may wait for the servers of one zone, each in one of the zone's
// places: questions for invented names below a zone whose servers are slow or silent would
// otherwise take the room of everybody's questions (HARDENING B6). Further ones queue for a
// place, since on a busy machine there may be more for a moment though the servers are
// quick. A question fails only where very many queue already, or many for a zone that
// answers nothing.

// enter takes one of the zone's places if one is free.
func (d *Driver) enter(cut *zonecut.Cut) (limits.Place[dnsname.Name], bool) {
	return d.zones.Try(cut.Name, d.mayWait(cut), nil)
}

// queue takes one of the zone's places for q, and waits until there is one. waited tells
// that it had to.
func (s *solver) queue(q *Query) (place limits.Place[dnsname.Name], waited bool, err error) {
	if place, free := s.enter(q.Cut); free {
		return place, false, nil
	}
	s.r.WillWait()
	most := limits.Queue{Most: limits.QueuedPerZone, Vain: limits.QueuedInVain}
	place, waited, err = s.zones.Enter(s.r.ctx, q.Cut.Name, s.mayWait(q.Cut), most, nil)
	switch {
	case errors.Is(err, limits.ErrFull):
		s.cfg.Counters.Hit(limits.OutstandingZone)
		err = &zoneError{zone: q.Cut.Name, err: Over(limits.OutstandingZone, ErrBusy)}
	case err != nil:
		err = s.timeUp(s.r)
	}
	return place, waited, err
}

// mayWait is how many questions may wait for a zone's answers at a time.
func (d *Driver) mayWait(cut *zonecut.Cut) int {
	if infrastructure(cut) {
		return d.cfg.Limits().PerZone * limits.OutstandingInfrastructure
	}
	return d.cfg.Limits().PerZone
}

// infrastructure tells whether everybody's questions go to a zone's servers: those of the
// root or of a top-level domain, or servers that the operator named.
func infrastructure(cut *zonecut.Cut) bool { return cut.Hints || cut.Name.Labels() <= 1 }

// peer is the chosen server, as steps name it.
func peer(q *Query, c selection.Choice) Peer {
	return Peer{By: q.authority(), NS: c.NS, Zone: q.Cut.Name, Addr: c.Addr}
}

// tellAsking tells which server is asked what, how, and why this one.
func (s *solver) tellAsking(q *Query, c selection.Choice) {
	if s.r.Tell != nil {
		why, left := s.cfg.Servers.Explain(s.want(q), c)
		s.r.Tell(q, Asking{To: peer(q, c), How: s.toward(q.Server), Question: q.Asked, Timeout: c.Timeout})
		s.r.Tell(q, Chosen{why})
		if len(left) > 0 {
			s.r.Tell(q, Left{left})
		}
	}
}

// sortOf is what sort a question for a type is of.
func sortOf(qtype uint16) selection.Sort {
	switch qtype {
	case wire.TypeA:
		return selection.ForA
	case wire.TypeAAAA:
		return selection.ForAAAA
	}
	return selection.ForOthers
}
