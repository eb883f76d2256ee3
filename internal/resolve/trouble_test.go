package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// inTrouble is a query to a zone with so many servers.
func inTrouble(servers int) (*solver, *Query, []selection.Choice) {
	s, q, _ := alone()
	var all []selection.Choice
	for i := range servers {
		ns := dnsname.Name(fmt.Sprintf("\x01%c\x04test\x00", 'a'+i))
		q.Cut.NS = append(q.Cut.NS, zonecut.NameServer{Name: ns, Addrs: []netip.Addr{server(byte(i)).Addr()}})
		all = append(all, selection.Choice{NS: ns, Endpoint: zonecut.Endpoint{Addr: server(byte(i))}})
	}
	return s, q, all
}

// asks tells whether a server may be asked (again).
func (s *solver) asks(q *Query, c selection.Choice) bool {
	for range 50 {
		if other, ok := s.cfg.Servers.Choose(s.want(q)); ok && other.Endpoint == c.Endpoint {
			return true
		}
	}
	return false
}

// What a failed attempt means for the server, and for the query.
func TestWhatAFailedAttemptMeans(t *testing.T) {
	const nonsense = NonsenseByUDP
	for _, c := range []struct {
		name   string
		reply  Reply
		err    error
		resort bool
		times  int
		again  bool  // the server may be asked again
		fatal  error // the query ends
		known  int   // timeouts that others hear of
	}{
		{"silence", Reply{}, ErrOverdue, false, 1, true, nil, 1},
		{"TCP takes long", Reply{TCP: true}, ErrOverdue, false, 1, false, nil, 0},
		{"TCP takes long, as a last resort", Reply{TCP: true}, ErrOverdue, true, 1, false, nil, 0},
		{"TCP fails", Reply{TCP: true}, ErrTimeout, false, 1, false, nil, 0},
		{"TCP fails, as a last resort", Reply{TCP: true}, ErrTimeout, true, 1, true, nil, 1},
		{"nonsense", Reply{Nonsense: nonsense}, ErrOverdue, false, 1, true, nil, 1},
		{"nonsense twice", Reply{Nonsense: nonsense}, ErrOverdue, false, 2, false, nil, 1},
		{"nonsense by TCP", Reply{Nonsense: NonsenseByTCP}, ErrTimeout, false, 1, false, nil, 1},
		{"no further connection", Reply{TCP: true}, Over(limits.TCPConnsRequest, ErrBudget), false, 1, false, nil, 0},
		{"no further question", Reply{}, Over(limits.UpstreamPerRequest, ErrBudget), false, 1, true, ErrBudget, 0},
	} {
		s, q, all := inTrouble(2)
		for range c.times {
			all[0].Resort = c.resort
			if err := s.unanswered(q, all[0], c.reply, c.err); !errors.Is(err, c.fatal) {
				t.Errorf("%s: the query ends with %v, want %v", c.name, err, c.fatal)
			}
		}
		q.run.tried.Reject(all[1].NS, all[1].Endpoint)
		if got := s.asks(q, all[0]); got != c.again {
			t.Errorf("%s: asked again %v, want %v", c.name, got, c.again)
		}
		if got := int(s.cfg.Servers.Host(all[0].Endpoint).Timeouts); got != c.known {
			t.Errorf("%s: %d timeouts are known, want %d", c.name, got, c.known)
		}
	}
}

// A server that was reached, and does not serve, is left alone; what is of its family is not.
func TestAServerThatDoesNotServeSpeaksForNoFamily(t *testing.T) {
	for err, avoided := range map[error]bool{&Unusable{Did: "ended the connection"}: false, ErrUnreachable: true} {
		s, q, all := inTrouble(2)
		for range limits.FamilyPatience {
			if err := s.unanswered(q, all[0], Reply{}, err); err != nil {
				t.Fatal(err)
			}
			s.found(&Exchange{}, all[0], Reply{}, err)
		}
		if s.cfg.Servers.Avoids(true) != avoided {
			t.Errorf("%v: IPv4 is avoided: %t", err, !avoided)
		}
		if q.run.tried.Reject(all[1].NS, all[1].Endpoint); s.asks(q, all[0]) {
			t.Errorf("%v: the server is asked again", err)
		}
	}
}

// What became of an attempt after its time is judged only where TCP failed, and not where
// the query itself has ended.
func TestWhatEndsLate(t *testing.T) {
	for _, c := range []struct {
		name     string
		reply    Reply
		err      error
		over     bool
		nothing  bool
		rejected bool
	}{
		{"an answer", Reply{TCP: true, Msg: &wire.Msg{}}, nil, false, false, false},
		{"UDP stays silent", Reply{}, ErrTimeout, false, true, false},
		{"TCP fails", Reply{TCP: true}, ErrTimeout, false, true, true},
		{"TCP ends with the query", Reply{TCP: true}, context.Canceled, true, true, false},
		{"TCP was too much", Reply{TCP: true}, ErrBudget, false, true, false},
		{"no socket", Reply{TCP: true}, ErrLocal, false, true, false},
	} {
		s, q, all := inTrouble(1)
		if c.over {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			s.r.ctx = ctx
		}
		if got := s.failedLate(q, lateReply{attempt{choice: all[0]}, c.reply, c.err}); got != c.nothing {
			t.Errorf("%s: nothing %v", c.name, got)
		}
		if got := !s.asks(q, all[0]); got != c.rejected {
			t.Errorf("%s: rejected %v", c.name, got)
		}
	}
}

// slow is an Exchanger whose servers answer after their time.
type slow struct{ after time.Duration }

func (e slow) Exchange(_ context.Context, x Exchange) (Reply, error) {
	ctx, _, done := x.Late.Overdue()
	go func() {
		select {
		case <-time.After(e.after):
			done(Reply{Msg: &wire.Msg{}}, nil)
		case <-ctx.Done():
			done(Reply{}, ctx.Err())
		}
	}()
	return Reply{}, ErrOverdue
}

// A query that has asked as often as it may still waits for what was asked: with many
// servers in trouble, the last of them may be the good one.
func TestTheLastQuestionsAnswerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, q, _ := inTrouble(13)
		s.cfg.Exchanger = slow{3 * time.Second}
		q.run.sends = limits.MaxUpstreamPerFetch - 1
		for asks := 0; q.run.phase == phaseAsk && asks < 100; asks++ { // look-ups beside make it short of patience
			if err := s.ask(q); err != nil {
				t.Fatal(err)
			}
		}
		if q.run.sends != limits.MaxUpstreamPerFetch || q.run.phase != phaseConsume || q.run.msg == nil {
			t.Error("the answer is not taken")
		}
		s.close()
	})
}

// A refusal ends the search for a good server soon where the server calls itself an
// authority, or was known to be of no use; others refuse because nobody told them of the
// zone, and another server of the zone may know it.
func TestWilfulRefusals(t *testing.T) {
	const aa = wire.FlagAA
	for _, c := range []struct {
		name  string
		rcode int
		flags uint16
		lame  bool
		want  bool
	}{
		{"REFUSED", wire.RcodeRefused, 0, false, false},
		{"REFUSED with AA", wire.RcodeRefused, aa, false, true},
		{"REFUSED, as was known", wire.RcodeRefused, 0, true, true},
		{"SERVFAIL with AA", wire.RcodeServFail, aa, true, false},
	} {
		s, q, all := inTrouble(1)
		q.Server.Endpoint, q.run.msg = all[0].Endpoint, &wire.Msg{Rcode: c.rcode, Flags: c.flags}
		if c.lame {
			s.cfg.Servers.Lame(q.Cut.Name, all[0].Endpoint)
		}
		if got := s.wilful(q); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Where several servers were of no use without EDNS either, others are not asked twice.
func TestEDNSIsNotDoubtedForEver(t *testing.T) {
	s, q, all := inTrouble(limits.FailuresInRow + 1)
	for i, c := range all {
		q.Server.Endpoint, q.run.msg = c.Endpoint, &wire.Msg{Rcode: wire.RcodeFormErr}
		if got := q.RetryWithoutEDNS(); got != (i < limits.FailuresInRow) {
			t.Errorf("server %d is asked again: %v", i, got)
		}
		if err := s.useless(q); err != nil {
			t.Fatal(err)
		}
	}
	if q.moveTo(q.Cut); !q.RetryWithoutEDNS() {
		t.Error("EDNS of another zone's servers is not doubted")
	}
}
