package resolve

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func setOf(name dnsname.Name, t uint16) Set {
	return Set{RRset: wire.RRset{Owner: name, Type: t, Class: wire.ClassIN}, Rank: rank.Secure}
}

// A set is in a message once, whether there are few or many, and the first one stays.
func TestASetIsThereOnce(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 100} {
		var sets, want []Set
		for i := range n {
			s := setOf(dnsname.Name([]byte{2, 'a' + byte(i%26), 'a' + byte(i/26), 0}), wire.TypeA)
			s.TTL = uint32(i)
			sets, want = append(sets, s), append(want, s)
		}
		if got := once(sets); !reflect.DeepEqual(got, want) {
			t.Errorf("%d different sets: %d are left", n, len(got))
		}
		again := sets[0]
		again.TTL = 999
		other, class := sets[0], sets[0]
		other.Type, class.Class = wire.TypeAAAA, 3
		sets, want = append(sets, again, other, class, again), append(want, other, class)
		before := append([]Set(nil), sets...)
		if got := once(sets); !reflect.DeepEqual(got, want) {
			t.Errorf("%d sets, one of them three times: %d are left", n, len(got))
		}
		if !reflect.DeepEqual(sets, before) {
			t.Error("the list that was looked at has changed")
		}
	}
}

// Two requests with one result may reorder their answers.
func TestACopyOfAResultHasListsOfItsOwn(t *testing.T) {
	list := func() []Set { return []Set{setOf(www, wire.TypeA), setOf(far, wire.TypeA)} }
	res := Result{Answer: list(), Authority: list(), Additional: list(), Rcode: wire.RcodeNXDomain}
	c := res.clone()
	if !reflect.DeepEqual(c, res) {
		t.Errorf("%+v became %+v", res, c)
	}
	for _, sets := range [][]Set{c.Answer, c.Authority, c.Additional} {
		sets[0], sets[1] = sets[1], sets[0]
	}
	for _, sets := range [][]Set{res.Answer, res.Authority, res.Additional} {
		if sets[0].Owner != www {
			t.Error("the other's answer is reordered, too")
		}
	}
}

// An outcome of a server is told; one of the cache, which tells it itself, and what is no
// outcome, is not.
func TestWhichOutcomesAreTold(t *testing.T) {
	for kind, want := range map[Kind]bool{Positive: true, Alias: true, NoData: true, NXDomain: true, Referral: false, Lame: false, Pending: false} {
		for _, cached := range []bool{false, true} {
			s, q, _ := alone()
			told := 0
			s.r.Tell = func(of *Query, step Step) {
				if c, ok := step.(Concluded); ok && of == q && c.Outcome.Kind == kind {
					told++
				}
			}
			q.Outcome = Outcome{Kind: kind, Cached: cached}
			if s.tellOutcome(q); (told == 1) != (want && !cached) {
				t.Errorf("kind %d, cached %v: told %d times", kind, cached, told)
			}
		}
	}
}

// Servers whose answer is not believed are left alone, and after so many of them no other is
// asked.
func TestServersThatAreNotBelievedAreLeft(t *testing.T) {
	s, q, all := inTrouble(limits.RefusedPerZone + 2)
	for i := range limits.RefusedPerZone {
		q.Server.Endpoint, q.run.ns.asked = all[i].Endpoint, all[i].NS
		q.enter(phaseConsume)
		err := s.refused(q, &Failure{EDE: 6, Text: "why"})
		if last := i == limits.RefusedPerZone-1; (err != nil) != last {
			t.Errorf("the %dth: %v", i+1, err)
		} else if !last && (q.run.phase != phaseAsk || !q.run.lame || q.run.useless != i+1 || s.asks(q, all[i])) {
			t.Errorf("after the %dth: phase %d, %d useless, or it is asked again", i+1, q.run.phase, q.run.useless)
		}
	}
	if s.cfg.Counters.Get(limits.UselessServers) != 1 {
		t.Error("the limit is not counted")
	}
	if why := q.run.faults.unbelieved(); why == nil || !strings.HasPrefix(why.Text, "why, as told by 192.0.2.0:53") || strings.Count(why.Text, ":53") != limits.RefusedPerZone {
		t.Errorf("told: %v", why)
	}
}

// A request of the resolver's own goes by the rules about its name, as a client's does.
func TestARequestOfOurOwnGoesByTheRules(t *testing.T) {
	for _, ruled := range []bool{true, false} {
		cut := &zonecut.Cut{Hints: true}
		r := &Request{Question: Question{www, wire.TypeA, wire.ClassIN}, Inner: true, Cut: &zonecut.Cut{}, Options: Options{Stub: true}}
		r.layers = []*Layer{{Begin: func(*Request) State { t.Error("a Begin hook is called"); return Done }, Route: func(*Request, Question) *Route {
			if ruled {
				return &Route{Cut: cut, Scope: example}
			}
			return nil
		}}}
		if begin(r.layers, r) {
			t.Error("it is answered")
		}
		if ruled && (r.Cut != cut || !r.Options.Forward || r.Options.Stub || r.Scope != example) || !ruled && (r.Cut != nil || r.Options.Forward || r.Options.Stub) || !r.ByName {
			t.Errorf("ruled %v: %+v %+v", ruled, r.Cut, r.Options)
		}
	}
}

// Who failed is called by the operator's word for it.
func TestWhoFailedIsNamed(t *testing.T) {
	for _, c := range []struct {
		options Options
		hints   bool
		want    string
	}{
		{Options{}, false, "no server of example."}, {Options{Forward: true}, true, "no forwarder"}, {Options{Stub: true}, true, "no server of the stub rule"},
		{Options{Stub: true}, false, "no server of example."},
	} {
		_, q, _ := alone()
		q.Options, q.Cut.Hints = c.options, c.hints
		if got := noneOf(q); got != c.want {
			t.Errorf("%+v, hints %v: %q", c.options, c.hints, got)
		}
	}
	for _, err := range []error{ErrNoServer, ErrTimeout, ErrOverdue} {
		if _, text := Explain(&zoneError{zone: example, err: err}); errors.Is(err, ErrTimeout) && text != "no server of example. answers" {
			t.Errorf("%v is told as %q", err, text)
		}
	}
}

// Which families of a name server are looked up: those that may be used, are not known, and
// were not looked up; the one that fails everywhere comes last.
func TestWhichFamiliesAreLookedUp(t *testing.T) {
	const a, aaaa = wire.TypeA, wire.TypeAAAA
	for _, c := range []struct {
		name string
		set  func(*solver, *Query)
		want []uint16
	}{
		{"both", func(*solver, *Query) {}, []uint16{a, aaaa}},
		{"no IPv4", func(_ *solver, q *Query) { q.Options.NoIPv4 = true }, []uint16{aaaa}},
		{"no IPv6", func(_ *solver, q *Query) { q.Options.NoIPv6 = true }, []uint16{a}},
		{"A was looked up", func(_ *solver, q *Query) { q.run.ns.looked = []lookup{{far, a}} }, []uint16{aaaa}},
		{"AAAA was looked up", func(_ *solver, q *Query) { q.run.ns.looked = []lookup{{far, aaaa}} }, []uint16{a}},
		{"of another name", func(_ *solver, q *Query) { q.run.ns.looked = []lookup{{near, a}, {near, aaaa}} }, []uint16{a, aaaa}},
		{"IPv4 fails", func(s *solver, _ *Query) { s.cfg.Servers.NoRoute(zonecut.Endpoint{Addr: server(1)}) }, []uint16{aaaa, a}},
		{"it has answered, and not helped", func(_ *solver, q *Query) {
			q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}
			q.run.ns.looked = []lookup{{far, a}}
			q.run.faults.useless(server(1), wire.RcodeRefused)
		}, nil},
		{"it was silent", func(_ *solver, q *Query) {
			q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}
			q.run.ns.looked = []lookup{{far, a}}
			q.run.faults.failed(server(1), ErrTimeout)
		}, []uint16{aaaa}},
		{"it is silent at IPv4", func(s *solver, q *Query) {
			q.Depth = 1
			q.Cut.NS = []zonecut.NameServer{{Name: far, Addrs: hosts(1)}}
			for range limits.SilentInLookups {
				s.r.work.silences.change(zonecut.Endpoint{Addr: server(1)}, example, 1, 1)
			}
		}, []uint16{aaaa}},
	} {
		s, q, _ := alone()
		c.set(s, q)
		if got := s.families(q, far); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A look-up that is begun after servers of other zones were of no use knows so.
func TestALookUpKnowsWhatOthersCameTo(t *testing.T) {
	for _, bad := range []bool{false, true} {
		s, q, _ := alone()
		if bad {
			s.r.work.inVain.failed(far, 1, true)
		}
		own := s.beside(q, Question{near, wire.TypeA, wire.ClassIN})
		sub, err := s.r.pushAddress(q, Question{near, wire.TypeA, wire.ClassIN}, Options{})
		if err != nil || own.root.run.behindBad != bad || sub.run.behindBad != bad {
			t.Errorf("%v: beside %v, on the plan %v, want %v", err, own.root.run.behindBad, sub.run.behindBad, bad)
		}
		if own.Budget != s.r.Budget || own.work != s.r.work || own.Plan.work != s.r.work || own.Plan.counters != s.r.Plan.counters || own.root.Depth != q.Depth+1 || !own.root.run.beneath {
			t.Error("it has limits of its own")
		}
	}
}

// A result has the rank of what it rests on, and a failure none, whatever was there before.
func TestTheRankOfAResult(t *testing.T) {
	res := Result{EDE: ede.None}
	res.take(&Outcome{Kind: Positive, Cached: true, Answer: []Set{setOf(www, wire.TypeA)}})
	if res.Rank != rank.Secure || !res.Cached || res.NoCache {
		t.Errorf("of an outcome: rank %d, cached %t, kept %t", res.Rank, res.Cached, !res.NoCache)
	}
	if res.Fail(ErrLame); res.Rank != 0 || res.Cached || !res.NoCache || res.Answer != nil || res.Rcode != wire.RcodeServFail {
		t.Errorf("of a failure: %+v", res)
	}
}

// Records that were put into a result before anything was resolved are proven by nobody.
func TestRecordsPutIntoAResultBeforeAreNotProven(t *testing.T) {
	o := &Outcome{Kind: Positive, Answer: []Set{setOf(www, wire.TypeA)}}
	for _, res := range []Result{{Answer: []Set{setOf(far, wire.TypeA)}}, {Authority: []Set{setOf(far, wire.TypeA)}}} {
		if res.take(o); res.Rank != rank.Auth|rank.Insecure || len(res.Answer)+len(res.Authority) != 2 {
			t.Errorf("rank %d, %d sets", res.Rank, len(res.Answer)+len(res.Authority))
		}
	}
	res := Result{Additional: []Set{setOf(far, wire.TypeA)}}
	if res.take(o); !res.Rank.IsSecure() {
		t.Errorf("of additional records: rank %d", res.Rank)
	}
}

// Lists without a set that is there twice are not copied.
func TestWhatIsThereOnceIsNotCopied(t *testing.T) {
	sets := []Set{setOf(www, wire.TypeA), setOf(far, wire.TypeA), setOf(near, wire.TypeA)}
	if n := testing.AllocsPerRun(100, func() { once(sets) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// An answer that a module made up and that is of no use ends the query, and so does one that
// is not believed, for that reason.
func TestALameAnswerWithoutAServer(t *testing.T) {
	s, q, _ := alone()
	q.Outcome = Outcome{Kind: Lame}
	if err := s.decide(q); err == nil || err.Error() != "the module that answered ends it" {
		t.Errorf("of a module: %v", err)
	}
	s, q, _ = alone()
	why := &Failure{EDE: ede.Bogus, Text: "why"}
	q.Refuse(why, "")
	if err := s.decide(q); err != why {
		t.Errorf("what is not believed: %v", err)
	}
}

// An answer that concludes nothing leads to another question, of the same servers, and one
// that was made up to servers.
func TestWhatConcludesNothing(t *testing.T) {
	for _, c := range []struct {
		msg   *wire.Msg
		holds bool
		want  phase
	}{{&wire.Msg{}, false, phaseAsk}, {nil, false, phaseCut}, {nil, true, phaseAsk}} {
		s, q, _ := alone()
		q.enter(phaseConsume)
		q.Outcome.Answer = []Set{setOf(www, wire.TypeCNAME)}
		if q.run.msg = c.msg; c.holds {
			q.HoldBack(Outcome{Kind: NoData})
		}
		if err := s.decide(q); err != nil || q.run.phase != c.want || q.Outcome.Answer != nil {
			t.Errorf("%+v: phase %d, %v, left is %v", c, q.run.phase, err, q.Outcome.Answer)
		}
	}
}

// The zone that can answer a question is that of its name, and for DS the one above.
func TestWhichZoneAnswers(t *testing.T) {
	for qtype, want := range map[uint16]dnsname.Name{wire.TypeA: www, wire.TypeNS: www, wire.TypeDS: example} {
		if got := above(Question{www, qtype, wire.ClassIN}); got != want {
			t.Errorf("type %d: %s", qtype, got)
		}
	}
}

// After the servers of a delegation were not believed, and the parent has named others, all
// may be asked; after those of an old one were of no use, they are not asked again.
func TestWhomAReferralOfTheParentLeadsTo(t *testing.T) {
	for _, c := range []struct {
		reparented bool
		refusedBy  int
		tried      bool
	}{{true, 1, false}, {true, 0, true}, {false, 0, false}} {
		s, q, _ := alone()
		q.run.reparented, q.run.refusedBy = c.reparented, c.refusedBy
		q.run.tried.Reject(far, zonecut.Endpoint{Addr: server(1)})
		q.run.msg = &wire.Msg{}
		q.Outcome = Outcome{Kind: Referral, Cut: &zonecut.Cut{Name: www, NS: []zonecut.NameServer{{Name: far}}}}
		if err := s.descend(q); err != nil || q.run.tried.Any() != c.tried || q.run.refusedBy != 0 {
			t.Errorf("%+v: %v, what was tried counts: %t", c, err, q.run.tried.Any())
		}
	}
}

// Layers that are shown a query more than once are told of it once.
func TestAQueryThatIsLookedUpAgainIsAnnouncedOnce(t *testing.T) {
	s, q, _ := alone()
	resets := 0
	s.layers = []*Layer{{Reset: func(*Request, *Query) State { resets++; return Produce }}}
	for range 2 {
		q.enter(phaseProduce)
		if err := s.produce(q); err != nil || q.run.phase != phaseCut {
			t.Errorf("%v, phase %d", err, q.run.phase)
		}
	}
	if resets != 1 {
		t.Errorf("announced %d times", resets)
	}
}
