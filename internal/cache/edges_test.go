package cache

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// longName is a name whose own key has so many octets: of 250 in its labels, so many
// are escaped.
func longName(t *testing.T, key int) dnsname.Name {
	t.Helper()
	var text strings.Builder
	escaped := key - 254
	for i, left := 0, 250; left > 0; i++ {
		if i > 0 && i%63 == 0 {
			text.WriteByte('.')
		}
		if left > escaped {
			text.WriteByte('x')
		} else {
			text.WriteString(`\000`)
		}
		left--
	}
	n := name(t, text.String()+".")
	if got := len(n.AppendKey(nil)); got != key {
		t.Fatalf("a key of %d octets, want %d", got, key)
	}
	return n
}

// A name whose key just fits is kept, and one octet more is neither kept nor looked for.
func TestNamesWhoseKeysJustFit(t *testing.T) {
	const mark = 1 + 9 // behind the name: what ends it, and the partition
	for _, over := range []int{0, 1} {
		w := newWorld(t)
		w.in = 7
		n := longName(t, maxKey-mark-1+over) // C
		want := cut(t, "example.", w.now()+100)
		want.Name = n
		w.Keep(want, w.now())
		if got := w.Closest(n, w.now()); (got != nil) != (over == 0) || over == 1 && w.mem.writes != 0 {
			t.Errorf("a delegation whose key has %d octets: %v, %d writes", maxKey+over, got, w.mem.writes)
		}
		n = longName(t, maxKey-mark-5+over) // R, type, class
		s := rrset(t, secure, "example.", wire.TypeA, 60, "\x01\x02\x03\x04")
		s.Owner = n
		w.mem.writes = 0
		q := resolve.Question{Name: n, Type: wire.TypeA, Class: wire.ClassIN}
		w.learn(q, positive(s))
		if got := w.peek(q); (got.Kind == resolve.Positive) != (over == 0) || over == 1 && w.mem.writes != 0 {
			t.Errorf("a set whose key has %d octets: %v, %d writes", maxKey+over, got.Kind, w.mem.writes)
		}
		n = longName(t, maxKey-mark+over) // the prefix of all keys of a node
		if has := w.inventory(node{7, n}); !has.ok || !has.lacks(allKinds) {
			t.Errorf("a prefix of %d octets: %+v", maxKey+over, has)
		}
		if list, err := w.Show(n, w.now()); err != nil || len(list) != 0 {
			t.Errorf("a prefix of %d octets: %v, %v", maxKey+over, list, err)
		}
		if _, ok := w.fast(client{}.parse(t, string(n), wire.TypeA), 0); ok {
			t.Error("an answer under a key that is too long")
		}
	}
}

func TestTheLimitsOfTTLsMayMeet(t *testing.T) {
	if c := New(&limits.Counters{}); c.MinTTL() != limits.DefaultMinTTL || c.MaxTTL() != limits.DefaultMaxTTL {
		t.Errorf("of a closed cache: %d to %d", c.MinTTL(), c.MaxTTL())
	}
	w := newWorld(t)
	if err := errors.Join(w.SetMaxTTL(100), w.SetMinTTL(100)); err != nil || w.MinTTL() != 100 || w.MaxTTL() != 100 {
		t.Errorf("%v, %d to %d", err, w.MinTTL(), w.MaxTTL())
	}
	if err := w.SetMinTTL(101); err == nil || err.Error() != "min_ttl must be from 0 to max_ttl, which is 100" || w.MinTTL() != 100 {
		t.Errorf("%v, %d", err, w.MinTTL())
	}
	if err := w.SetMaxTTL(99); err == nil || err.Error() != "max_ttl must be from min_ttl, which is 100, to 4294967295" || w.MaxTTL() != 100 {
		t.Errorf("%v, %d", err, w.MaxTTL())
	}
	if err := w.SetMaxTTL(100); err != nil {
		t.Error(err)
	}
	for ttl, want := range map[uint32]uint32{0: 100, 99: 100, 101: 100} {
		if got := w.bound(ttl); got != want {
			t.Errorf("%d became %d", ttl, got)
		}
	}
	w.Swap(w.mem)
	if w.MinTTL() != limits.DefaultMinTTL || w.MaxTTL() != limits.DefaultMaxTTL {
		t.Errorf("of another store: %d to %d", w.MinTTL(), w.MaxTTL())
	}
}

// A delegation has so many servers at most, also with those that the child names.
func TestTheChildsServersAreNotTooMany(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+100), w.now())
	var own []string
	for i := range 20 {
		own = append(own, string(name(t, fmt.Sprintf("own%d.example.", i))))
	}
	w.learn(question(t, "example.", wire.TypeNS), positive(rrset(t, insecure, "example.", wire.TypeNS, 60, own...)))
	if got := w.Closest(name(t, "example."), w.now()); len(got.NS) != limits.MaxNSPerDelegation {
		t.Errorf("%d servers, want %d", len(got.NS), limits.MaxNSPerDelegation)
	}
}

// What ends now is over, and so is what hangs on it; what has ended long ago says nothing
// about what comes now.
func TestWhenADelegationEnds(t *testing.T) {
	const long = int64(limits.RequestDeadline / time.Second)
	for _, c := range []struct {
		parent, since int64 // how long it lives, and how long ago that was over
		child         int64 // how long the child's would live
		want          int64 // how long it lives; 0: it is not kept
	}{
		{100, -1, 0, 0}, {100, -1, 1, 1}, {100, -40, 50, 40}, {100, -60, 50, 50},
		{100, 0, 50, 0}, {100, 1, 50, 0}, {100, long - 1, 50, 0}, {100, long, 50, 50},
	} {
		w := newWorld(t)
		w.Keep(cut(t, "example.", w.now()+c.parent), w.now())
		w.pass(int(c.parent + c.since))
		w.Keep(cut(t, "a.example.", w.now()+c.child), w.now())
		got := int64(0)
		if kept := w.loadCut(node{0, name(t, "a.example.")}, w.now()); kept != nil {
			got = kept.Expires - w.now()
		}
		if got != c.want {
			t.Errorf("%+v: %d seconds", c, got)
		}
	}
}

// A delegation that is too large is not kept, and counted.
func TestADelegationThatIsTooLarge(t *testing.T) {
	w := newWorld(t)
	large := cut(t, "example.", w.now()+100)
	large.NS = nil
	for i := range 200 {
		ns := zonecut.NameServer{Name: name(t, fmt.Sprintf("ns%d.example.", i))}
		for k := range 100 {
			ns.Addrs = append(ns.Addrs, netip.AddrFrom4([4]byte{10, byte(i), byte(k), 1}))
		}
		large.NS = append(large.NS, ns)
	}
	if w.Keep(large, w.now()); w.mem.writes != 0 || w.count.Get(limits.CacheEntryBytes) != 1 {
		t.Errorf("%d writes, counted %d times", w.mem.writes, w.count.Get(limits.CacheEntryBytes))
	}
}

// A time of which no clock tells is that of a damaged entry.
func TestWhenAnEntryCanHaveBeenMade(t *testing.T) {
	key := []byte("key")
	for made, want := range map[int64]bool{-1: false, 0: true, 1<<40 - 1: true, 1 << 40: false} {
		h, _, ok := open(key, seal(key, newEntry(header{kind: kindRRset, made: made, ttl: 7}, 0)))
		if ok != want || ok && (h.made != made || h.ttl != 7) {
			t.Errorf("%d: %+v, %v", made, h, ok)
		}
	}
	h := header{made: 1000, ttl: 10}
	for _, c := range []struct {
		now, grace int64
		age, left  uint32
		ok         bool
	}{
		{1000, 0, 0, 10, true}, {1009, 0, 9, 1, true}, {1010, 0, 0, 0, false}, {1010, 1, 10, 0, true}, {1011, 1, 0, 0, false}, {1014, 5, 14, 0, true},
		{999, 0, 0, 10, true}, {1000 - maxAhead, 0, 0, 10, true}, {999 - maxAhead, 0, 0, 0, false},
	} {
		if age, left, ok := h.ageWithin(c.now, c.grace); age != c.age || left != c.left || ok != c.ok {
			t.Errorf("%+v: %d, %d, %v", c, age, left, ok)
		}
	}
}

// A failure lasts twice as long when it comes again soon, up to the most, and that it was
// remembered is told with its age.
func TestAFailureThatComesAgain(t *testing.T) {
	q := question(t, "bad.example.", wire.TypeA)
	failed := resolve.Result{EDE: ede.NetworkError, EDEText: "nobody answers", Rcode: wire.RcodeServFail, NoCache: true, Failure: resolve.ErrTimeout}
	for _, c := range []struct{ after, want int }{
		{limits.ServfailTTL, 2 * limits.ServfailTTL}, {limits.ServfailTTL + limits.ServfailMax, 2 * limits.ServfailTTL},
		{limits.ServfailTTL + limits.ServfailMax + 1, limits.ServfailTTL},
	} {
		w := newWorld(t)
		w.answered(q, failed)
		w.pass(c.after)
		w.answered(q, failed)
		w.expectShown("bad.example.", fmt.Sprintf("4 A rank 0 age 0 left %d in 0:nobody answers", c.want))
		if c.want != 2*limits.ServfailTTL {
			continue
		}
		for ttl := c.want; ttl < limits.ServfailMax; {
			w.pass(ttl)
			ttl = min(2*ttl, limits.ServfailMax)
			w.answered(q, failed)
			w.expectShown("bad.example.", fmt.Sprintf("4 A rank 0 age 0 left %d in 0:nobody answers", ttl))
		}
	}
	w := newWorld(t)
	w.answered(q, failed)
	w.pass(2)
	var told []resolve.FailureRemembered
	req := w.request(q, func(r *resolve.Request) {
		r.Tell = func(_ *resolve.Query, e resolve.Step) {
			if f, ok := e.(resolve.FailureRemembered); ok {
				told = append(told, f)
			}
		}
	})
	want := resolve.FailureRemembered{Question: q, Age: 2, Left: limits.ServfailTTL - 2, Reason: "nobody answers"}
	if state := w.looked(req); state != resolve.Fail || len(told) != 1 || told[0] != want {
		t.Errorf("state %v, told %+v", state, told)
	}
	const deadline = int64(limits.RequestDeadline / time.Second)
	if ahead(&header{made: 1000 + deadline}, 1000) || !ahead(&header{made: 1001 + deadline}, 1000) {
		t.Error("a failure may be noted until its request has to end")
	}
}

// faulty is a Store whose readers panic, or whose removals fail.
type faulty struct {
	*memStore
	with    any
	removes int // that succeed
}

var errRemove = errors.New("nothing can be removed")

func (s *faulty) RemoveRange(prefix []byte, limit int, match func([]byte) bool) (int, error) {
	if s.removes--; s.removes < 0 {
		return 0, errRemove
	}
	return s.memStore.RemoveRange(prefix, limit, match)
}

func (s *faulty) NewReader() (Reader, error) {
	r, err := s.memStore.NewReader()
	return &faultyReader{r, s}, err
}

type faultyReader struct {
	Reader
	s *faulty
}

func (r *faultyReader) Get(key []byte) ([]byte, bool) {
	if r.s.with != nil {
		panic(r.s.with)
	}
	return r.Reader.Get(key)
}

func (r *faultyReader) Floor(prefix, key []byte) (k, v []byte, ok bool) {
	if r.s.with != nil {
		panic(r.s.with)
	}
	return r.Reader.Floor(prefix, key)
}

type fault struct{}

func (fault) Error() string { return "a fault" }
func (fault) Addr() uintptr { return 1 }

// A fault in the map is a miss, and any other panic goes on.
func TestAFaultInTheMapIsAMiss(t *testing.T) {
	w := newWorld(t)
	s := &faulty{memStore: w.mem}
	w.Swap(s)
	q := question(t, "www.example.", wire.TypeA)
	w.answered(q, resultOf(secure, rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	if _, ok := w.ask(q, client{}); !ok {
		t.Fatal("not found")
	}
	f := w.NewFast()
	defer f.Close()
	f.Begin(w.now())
	defer f.End()
	prefix := []byte("prefix")
	s.with = fault{}
	if n, ok := f.fetch(prefix); ok || n != 0 {
		t.Errorf("fetched %d octets", n)
	}
	if low, n, ok := f.fetchBelow(prefix, prefix); ok || n != 0 || low != nil {
		t.Errorf("fetched %d octets under %q", n, low)
	}
	if _, ok := f.Answer(0, client{}.parse(t, string(q.Name), q.Type), make([]byte, 500), reply.Shape{}); ok {
		t.Error("an answer")
	}
	s.with = "another panic"
	for _, fetch := range []func(){func() { f.fetch(prefix) }, func() { f.fetchBelow(prefix, prefix) }} {
		func() {
			defer func() {
				if v := recover(); v != s.with {
					t.Errorf("recovered %v", v)
				}
			}()
			fetch()
		}()
	}
	s.with = nil
	if _, ok := f.Answer(0, client{}.parse(t, string(q.Name), q.Type), make([]byte, 500), reply.Shape{}); !ok {
		t.Error("no answer afterwards")
	}
}

// What is larger than any entry is damaged, whoever finds it.
func TestWhatIsLargerThanAnyEntry(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	key := string(node{0, q.Name}.answer(q.Type, q.Class, 0))
	for size, damaged := range map[int]uint64{limits.MaxCacheEntryBytes + 1: 1, 10 * limits.MaxCacheEntryBytes: 1, limits.MaxCacheEntryBytes: 1, 0: 1} {
		w.mem.m[key] = make([]byte, size)
		was := w.Stats().Damaged
		if _, ok := w.ask(q, client{}); ok {
			t.Errorf("%d octets are an answer", size)
		}
		if n := w.Stats().Damaged - was; n != damaged {
			t.Errorf("%d octets: %d damaged", size, n)
		}
		if _, there := w.mem.m[key]; there {
			t.Errorf("%d octets are left", size)
		}
	}
	for size, seen := range map[int]bool{limits.MaxCacheEntryBytes: true, limits.MaxCacheEntryBytes + 1: false} {
		large := []byte("large")
		w.mem.m[string(large)] = make([]byte, size)
		s := w.scan()
		if s.copyOne(w.mem.m[string(large)]); (s.raw != nil) != seen {
			t.Errorf("%d octets: copied %v", size, s.raw != nil)
		}
		deleteSeen(w.mem, large, []byte("what was seen"))
		if _, there := w.mem.m[string(large)]; there != seen {
			t.Errorf("%d octets that were not seen: left %v", size, there)
		}
		s.node = 0
		if s.takeStock([]byte{familyCut}, make([]byte, size)); (s.cut != nil) != seen {
			t.Errorf("a delegation of %d octets: copied %v", size, s.cut != nil)
		}
	}
}

// A removal that fails says so, wherever in it that is.
func TestARemovalThatFails(t *testing.T) {
	remove := func(removes int) (calls int, err error) {
		w := newWorld(t)
		s := &faulty{memStore: w.mem, removes: removes}
		w.Swap(s)
		at := node{0, name(t, "example.")}
		for _, key := range [][]byte{at.nsec(name(t, "a.example.")), at.nsec(name(t, "b.a.example.")), append(at.key(familyNSEC3), "hash"...)} {
			w.mem.m[string(key)] = []byte("x")
		}
		_, err = w.Remove(name(t, "a.example."), false, 100)
		return removes - s.removes, err
	}
	calls, err := remove(100)
	if err != nil || calls < 3 {
		t.Fatalf("%d removals, %v", calls, err)
	}
	for n := range calls {
		if _, err := remove(n); !errors.Is(err, errRemove) {
			t.Errorf("removal %d of %d fails: %v", n+1, calls, err)
		}
	}
}

// What is removed of a type is its set, and what was made of it.
func TestWhatIsRemovedOfAType(t *testing.T) {
	n := name(t, "www.example.")
	at := node{0, n}
	q := func(rrtype uint16) resolve.Question {
		return resolve.Question{Name: n, Type: rrtype, Class: wire.ClassIN}
	}
	keys := map[string][]byte{
		"A":              at.rrset(wire.TypeA, wire.ClassIN),
		"answer of A":    at.answer(wire.TypeA, wire.ClassIN, bitDO),
		"failure of A":   at.failure(q(wire.TypeA), true),
		"A elsewhere":    node{7, n}.rrset(wire.TypeA, wire.ClassIN),
		"NS":             at.rrset(wire.TypeNS, wire.ClassIN),
		"answer of NS":   at.answer(wire.TypeNS, wire.ClassIN, 0),
		"delegation":     at.cut(),
		"NXDOMAIN":       at.nxdomain(wire.TypeA), // whose class looks like the type
		"links":          at.nsec(n),
		"gaps":           at.gaps(false),
		"of a short key": append(at.key(familyRRset), 0),
		"A of a child":   node{0, name(t, "a.www.example.")}.rrset(wire.TypeA, wire.ClassIN),
	}
	for rrtype, want := range map[uint16][]string{
		wire.TypeA: {"A", "answer of A", "failure of A", "A elsewhere"}, wire.TypeNS: {"NS", "answer of NS", "delegation"}, wire.TypeTXT: nil,
	} {
		w := newWorld(t)
		for _, key := range keys {
			w.mem.m[string(key)] = []byte("x")
		}
		done, err := w.RemoveType(n, rrtype)
		if err != nil || done != len(want) {
			t.Errorf("%s: %d removed, %v", wire.TypeText(rrtype), done, err)
		}
		for what, key := range keys {
			if _, left := w.mem.m[string(key)]; left == slices.Contains(want, what) {
				t.Errorf("%s: %s is left: %v", wire.TypeText(rrtype), what, left)
			}
		}
	}
	if got := (node{0, n}).nxdomain(wire.TypeA); !bytes.HasSuffix(got, []byte{0, 1}) {
		t.Errorf("%q", got)
	}
}

// What a key is of, by what follows the prefix of its node.
func TestWhatAKeyIsOf(t *testing.T) {
	for rest, want := range map[string]struct {
		kind kinds
		ours bool
	}{
		"": {0, true}, "A": {anAnswer, true}, "C": {aCut, true}, "F": {aFailure, true}, "X": {anNXDomain, true}, "R": {anRRset, true},
		"R\x00\x27": {anRRset | aDNAME, true}, "R\x00\x27\x00\x01": {anRRset | aDNAME, true}, "R\x00": {anRRset, true}, "R\x00\x01\x00\x01": {anRRset, true},
		"d": {aDenial, false}, "h": {aDenial, false}, "n": {aDenial, false}, "o": {0, false}, "p": {0, false},
	} {
		if kind, ours := kindOf([]byte(rest)); kind != want.kind || ours != want.ours {
			t.Errorf("%q: %b, %v", rest, kind, ours)
		}
	}
	var i inventory
	if i.lacks(aCut) {
		t.Error("what was not looked at lacks something")
	}
	i.missing = aCut | aDNAME
	if !i.lacks(aCut) || !i.lacks(aCut|aDNAME) || i.lacks(aCut|aFailure) || i.lacks(aFailure) {
		t.Error("what lacks delegations and aliases lacks something else")
	}
}

// A denial of a name is shown with its class, and is about no type.
func TestADenialIsShown(t *testing.T) {
	w := newWorld(t)
	w.learn(question(t, "no.example.", wire.TypeA), resolve.Outcome{Kind: resolve.NXDomain, Rcode: wire.RcodeNXDomain, Authority: []resolve.Set{soa(t, insecure, "example.", 30, 30)}})
	list, err := w.Show(name(t, "no.example."), w.now())
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if e := list[0]; e.Kind != ShownNXDomain || e.Type != 0 || e.Class != wire.ClassIN || len(e.Sets) != 1 {
		t.Errorf("%+v", e)
	}
	// A whole answer is that of the clients that it was made for, while nothing was cleared.
	w = newWorld(t)
	s := rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	q := question(t, "www.example.", wire.TypeA)
	w.answered(q, resultOf(insecure, s), withDO)
	list, _ = w.Show(q.Name, w.now())
	if len(list) != 1 || !list[0].DO || list[0].CD || list[0].Kind != ShownAnswer || len(list[0].Sets) != 1 || !list[0].Sets[0].Cached || list[0].Sets[0].Rank != insecure {
		t.Errorf("%+v", list)
	}
	w.pass(3)
	if list, _ = w.Show(q.Name, w.now()); len(list) != 1 || list[0].Sets[0].TTL != 57 || list[0].Left != 57 {
		t.Errorf("after three seconds: %+v", list)
	}
	w.pass(58)
	if list, _ = w.Show(q.Name, w.now()); len(list) != 0 {
		t.Errorf("what is over is shown: %+v", list)
	}
	w.pass(-30)
	if _, err := w.RemoveType(name(t, "other."), wire.TypeA); err != nil {
		t.Fatal(err)
	}
	if list, _ = w.Show(q.Name, w.now()); len(list) != 0 {
		t.Errorf("what was made before a clear is shown: %+v", list)
	}
	failure := header{kind: kindFailure, made: w.now(), ttl: 60}
	key := node{0, q.Name}.failure(q, false)
	if one, ok := show(key, seal(key, newEntry(failure, 0)), 0, w.now()); !ok || one.Kind != ShownFailure || one.Type != q.Type || one.Class != q.Class {
		t.Errorf("a failure: %+v", one)
	}
	set := node{0, q.Name}.rrset(q.Type, q.Class)
	for more, want := range map[int]bool{0: true, 1: false} {
		body := append(appendSets(newEntry(header{kind: kindRRset, rank: insecure, made: w.now(), ttl: 60}, 100), []resolve.Set{s}), make([]byte, more)...)
		if one, ok := show(set, seal(set, body), 0, w.now()); ok != want {
			t.Errorf("a set with %d octets more: %+v, %v", more, one, ok)
		}
	}
	if one, ok := show(key, []byte("no entry"), 0, w.now()); ok {
		t.Errorf("no entry: %+v", one)
	}
	for _, key := range [][]byte{nil, []byte("\x07example")} {
		if one, ok := show(key, seal(key, newEntry(failure, 0)), 0, w.now()); ok {
			t.Errorf("under no key %q: %+v", key, one)
		}
	}
}

// What is in a gap is so to the octet.
func TestTheEdgesOfAGap(t *testing.T) {
	g := &gap{low: []byte("a\x00c\x00"), high: []byte("a\x00f\x00"), encloser: 2}
	for key, want := range map[string]bool{
		"a\x00c\x00": false, "a\x00c\x00x\x00": true, "a\x00d\x00": true, "a\x00f\x00": false, "a\x00g\x00": false, "a\x00b\x00": false, "a\x00d": false, "a\x00": false,
	} {
		if g.has([]byte(key)) != want {
			t.Errorf("%q: %v", key, !want)
		}
	}
	last := &gap{low: []byte("c\x00")}
	if !last.has([]byte("z\x00")) || last.has([]byte("c\x00")) || last.has(nil) {
		t.Error("the gap at the end of a zone")
	}
	for key, want := range map[string]int{"a\x00d\x00": 4, "a\x00dd\x00x\x00": 5, "a\x00\x00": 3, "a\x00": 0, "a\x00d": 0, "": 0} {
		if got := g.closer([]byte(key)); got != want {
			t.Errorf("%q: %d octets are the next closer name's, want %d", key, got, want)
		}
	}
	h := &gap{hashed: true, low: []byte("chainBBBB"), high: []byte("DDDD")}
	for hash, want := range map[string]bool{"CCCC": true, "BBBB": false, "DDDD": false, "AAAA": false, "EEEE": false, "CCC": false, "CCCCC": false} {
		if h.hasHash([]byte(hash)) != want {
			t.Errorf("hash %s: %v", hash, !want)
		}
	}
	if (&gap{low: []byte("BBBB"), high: []byte("DDDD")}).hasHash([]byte("CCCC")) {
		t.Error("a gap of hashes without a chain")
	}
}

// A set was made from a wildcard if all of its signatures say so.
func TestWhatASetWasMadeFrom(t *testing.T) {
	set := func(labels ...int) *wire.RRset {
		s := rrset(t, secure, "a.b.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
		var sigs [][]byte
		for _, n := range labels {
			sigs = append(sigs, sign(s, n).Sigs...)
		}
		s.Sigs = sigs
		return &s.RRset
	}
	for _, c := range []struct {
		labels []int
		want   string
	}{{nil, ""}, {[]int{3}, ""}, {[]int{4}, ""}, {[]int{2}, "*.b.example."}, {[]int{1}, "*.example."}, {[]int{0}, "*."}, {[]int{2, 2}, "*.b.example."}, {[]int{2, 1}, ""}, {[]int{3, 2}, ""}} {
		want := dnsname.Name("")
		if c.want != "" {
			want = name(t, c.want)
		}
		if got := wildcardOf(set(c.labels...)); got != want {
			t.Errorf("%v: %q, want %q", c.labels, got, want)
		}
	}
	short := set(2)
	short.Sigs[0] = short.Sigs[0][:wire.SigFixed]
	if got := wildcardOf(short); got != name(t, "*.b.example.") {
		t.Errorf("a signature without a signer's name: %q", got)
	}
	short.Sigs[0] = short.Sigs[0][:wire.SigFixed-1]
	if got := wildcardOf(short); got != "" {
		t.Errorf("a signature that is cut off: %q", got)
	}
	own := set(2)
	own.Owner = name(t, "*.b.example.")
	if got := wildcardOf(own); got != "" {
		t.Errorf("the wildcard itself: %q", got)
	}
	if r := shortest(nil); r != ^uint32(0) {
		t.Errorf("the shortest of nothing: %d", r)
	}
	for r, want := range map[rank.Rank]bool{rank.Omit: false, rank.Omit | rank.Auth: false, rank.Try: true, secure: true, bogus: true, rank.Secure: true} {
		if storable(r) != want {
			t.Errorf("rank %d: storable %v", r, !want)
		}
	}
}

// Proofs may have as many octets as honest ones, and one more is counted.
func TestTheLargestProof(t *testing.T) {
	w := newWorld(t)
	s := rrset(t, secure, "a.example.", wire.TypeNSEC, 60, "")
	s.Data[0] = make([]byte, limits.MaxProofBytes-setSize(&s.RRset))
	if n := setSize(&s.RRset); n != limits.MaxProofBytes || w.tooMuchProof([]resolve.Set{s}) {
		t.Errorf("%d octets are too many", n)
	}
	other := rrset(t, secure, "a.example.", wire.TypeTXT, 60, strings.Repeat("x", 9000))
	if w.tooMuchProof([]resolve.Set{other, s, other}) || w.count.Get(limits.ProofBytes) != 0 {
		t.Error("what is no proof counts")
	}
	s.Data[0] = append(s.Data[0], 0)
	if !w.tooMuchProof([]resolve.Set{other, s}) || w.count.Get(limits.ProofBytes) != 1 {
		t.Errorf("an octet more is not too much, counted %d times", w.count.Get(limits.ProofBytes))
	}
	two := rrset(t, secure, "a.example.", wire.TypeNSEC3, 60, strings.Repeat("x", limits.MaxProofBytes/2))
	if !w.tooMuchProof([]resolve.Set{two, two}) {
		t.Error("two halves are not too much")
	}
	if n := len(appendSets(nil, []resolve.Set{sign(two, 1), other})); n > setsSize([]resolve.Set{sign(two, 1), other}) {
		t.Errorf("%d octets of sets, more than is made room for", n)
	}
}

// What is over is worth the more the less long it is, from just now to at the end of its
// time as a stale answer.
func TestWhatIsOverIsWorthLessAndLess(t *testing.T) {
	const now, age = 1_700_000_000, int64(limits.StaleAge / time.Second)
	at := node{0, name(t, "www.example.")}
	worth := func(key []byte, ended int64) int {
		return int(Worth(key, seal(key, newEntry(header{kind: kindRRset, rank: secure, made: now - ended - 60, ttl: 60}, 0)), now))
	}
	set := at.rrset(wire.TypeA, wire.ClassIN)
	for ended, want := range map[int64]int{0: 9, 1: 8, age / 2: 5, age * 3 / 4: 3, age - 1: 1, age: 0, 2 * age: 0} {
		if got := worth(set, ended); got != want {
			t.Errorf("over for %d seconds: worth %d, want %d", ended, got, want)
		}
	}
	for what, key := range map[string][]byte{"a delegation": at.cut(), "a denial": at.nxdomain(wire.ClassIN)} {
		if got := worth(key, 0); got != 9 {
			t.Errorf("%s: worth %d", what, got)
		}
	}
	for what, key := range map[string][]byte{"an answer": at.answer(wire.TypeA, wire.ClassIN, 0), "a failure": at.key(familyFailure), "a link": at.nsec(at.name), "a gap": at.gaps(true)} {
		if got := worth(key, 0); got != 0 {
			t.Errorf("%s: worth %d", what, got)
		}
	}
}

// So many names are hashed for one look-up, and one more is refused and counted.
func TestHowManyNamesAreHashed(t *testing.T) {
	w := newWorld(t)
	h := &hashing{proof: resolve.NewBudget(w.count).Proof(), cache: w.Cache}
	for n := range limits.AggressiveHashes {
		if err := h.Hash(1); err != nil {
			t.Fatalf("name %d: %v", n+1, err)
		}
	}
	if err := h.Hash(1); !errors.Is(err, resolve.ErrProof) || w.count.Get(limits.HashedNames) != 1 {
		t.Errorf("one more: %v, counted %d times", err, w.count.Get(limits.HashedNames))
	}
	if err := errors.Join(h.Verify(), h.Failed()); err != nil {
		t.Errorf("what was verified before: %v", err)
	}
}

// What is answered from the cache says so, and a failure is remembered for the client's own
// question only.
func TestWhatTheLayerTellsTheDriver(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	req := w.request(q)
	query := &resolve.Query{Question: q}
	if w.layer.Produce(req, query) != resolve.Done || !query.Options.FromCache || !query.Outcome.Cached || query.Outcome.Origin != resolve.FromCache {
		t.Errorf("%+v", query)
	}
	bad := question(t, "bad.example.", wire.TypeA)
	w.answered(bad, resolve.Result{EDE: ede.NetworkError, Rcode: wire.RcodeServFail, NoCache: true, Failure: resolve.ErrTimeout})
	was := w.Stats()
	if state := w.layer.Produce(w.request(bad), &resolve.Query{Question: bad, Parent: query}); state != resolve.Produce || w.Stats().Miss != was.Miss+1 {
		t.Errorf("a question of the driver's own: %v", state)
	}
	if state := w.layer.Produce(w.request(bad), &resolve.Query{Question: bad}); state != resolve.Fail || w.Stats().Hit != was.Hit+1 {
		t.Errorf("the client's: %v", state)
	}
}

// Of servers that are lame nothing is kept, and what came from the cache keeps its time.
func TestWhatIsConsumedAsItIs(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	set := rrset(t, insecure, "www.example.", wire.TypeA, 1, "\x01\x02\x03\x04")
	for _, kind := range []resolve.Kind{resolve.Lame, resolve.Pending} {
		got := w.learn(q, resolve.Outcome{Kind: kind, Answer: []resolve.Set{set}})
		if w.mem.writes != 0 || got.Outcome.Answer[0].TTL != 1 {
			t.Errorf("kind %v: %d writes, TTL %d", kind, w.mem.writes, got.Outcome.Answer[0].TTL)
		}
	}
	cached := set
	cached.Cached = true
	if got := w.learn(q, positive(cached, set)); got.Outcome.Answer[0].TTL != 1 || got.Outcome.Answer[1].TTL != limits.DefaultMinTTL {
		t.Errorf("%+v", got.Outcome.Answer)
	}
}

// A search for what may be told of old looks above a delegation that is at hand.
func TestAFinalSearchLooksAboveWhatIsAtHand(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "a.example.", w.now()+100), w.now())
	proof := denial(resolve.NXDomain, sign(soa(t, secure, "example.", 60, 60), 1))
	w.learn(question(t, "example.", wire.TypeA), proof)
	q := question(t, "x.a.example.", wire.TypeA)
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Fatalf("below a delegation: %+v", o)
	}
	if hand := w.cuts.at(node{0, name(t, "a.example.")}, snapshot{w.now(), 0}); hand.cut == nil {
		t.Fatal("the delegation is not at hand")
	}
	if o, stale := w.Stale(w.request(q), 100, nil, nil); o.Kind != resolve.NXDomain || stale {
		t.Errorf("%+v, stale %v", o, stale)
	}
}

// An answer for a gap is read as it was written, and is none without validation.
func TestAGapIsReadAsItWasWritten(t *testing.T) {
	g := gap{encloser: 300, high: []byte("high")}
	d := reply.Denial{Plain: 400, PlainCount: 2, Count: 3, Pointers: []byte("pp"), TTLs: []byte("tt"), Octets: []byte("octets")}
	entry := encodeGap(header{rank: secure}, 1<<40+5, &g, &d)
	h, body := parseHeader(entry), entry[headerLen:]
	var gotGap gap
	var got reply.Denial
	if clears, ok := decodeGap(h, body, &gotGap, &got); !ok || clears != 1<<40+5 || gotGap.encloser != 300 || string(gotGap.high) != "high" ||
		got.Plain != 400 || got.PlainCount != 2 || got.Count != 3 || string(got.Pointers)+string(got.TTLs)+string(got.Octets) != "ppttoctets" {
		t.Errorf("%+v, %+v, %v", gotGap, got, ok)
	}
	other, unproven := h, h
	other.kind, unproven.rank = kindAnswer, insecure
	for what, h := range map[string]header{"another kind": other, "what is not validated": unproven} {
		if _, ok := decodeGap(h, body, &gotGap, &got); ok {
			t.Errorf("%s is a gap", what)
		}
	}
	for n := range body {
		if _, ok := decodeGap(h, body[:n], &gotGap, &got); ok {
			t.Errorf("%d octets of %d are a gap", n, len(body))
		}
	}
	if _, ok := decodeGap(h, append(bytes.Clone(body), 0), &gotGap, &got); ok {
		t.Error("an octet more is a gap")
	}
}

// A reader of another Store is given back when the next batch begins.
func TestAReaderOfAnotherStoreIsGivenBack(t *testing.T) {
	w := newWorld(t)
	f := w.NewFast()
	f.Begin(w.now())
	f.End()
	next := newMemStore()
	var s Store = next
	w.store.Store(&s) // before Swap comes to this Fast
	f.Begin(w.now())
	f.End()
	if w.mem.open != 0 || next.open != 1 {
		t.Errorf("%d readers of the old one, %d of the new one", w.mem.open, next.open)
	}
	if f.Close(); next.open != 0 {
		t.Errorf("%d readers are left", next.open)
	}
}
