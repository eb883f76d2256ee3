package cache

import (
	"bytes"
	"testing"

	"kresd/internal/lmdbcache"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Of entries that live as long and take as much room, those stay on which most hangs and that
// cost most to get again.
func TestWhatIsWorthKeepingByItsKind(t *testing.T) {
	const now = 1_700_000_000
	at := node{0, name(t, "www.example.")}
	worth := func(key []byte, kind byte) lmdbcache.Worth {
		h := header{kind: kind, rank: secure, made: now, ttl: 3600}
		return Worth(key, seal(key, append(newEntry(h, 100), make([]byte, 100)...)), now)
	}
	rr := func(rrtype uint16) []byte { return at.rrset(rrtype, wire.ClassIN) }
	order := []struct {
		what string
		got  lmdbcache.Worth
	}{
		{"keys", worth(rr(wire.TypeDNSKEY), kindRRset)}, {"an address", worth(rr(wire.TypeA), kindRRset)},
		{"that there is no address", worth(rr(wire.TypeA), kindNoData)},
	}
	for i := 1; i < len(order); i++ {
		if order[i-1].got <= order[i].got {
			t.Errorf("%s is worth %d, %s %d", order[i-1].what, order[i-1].got, order[i].what, order[i].got)
		}
	}
	for _, rrtype := range []uint16{wire.TypeDS, wire.TypeNS, wire.TypeSOA} {
		if got := worth(rr(rrtype), kindRRset); got != order[0].got {
			t.Errorf("type %d is worth %d, keys %d", rrtype, got, order[0].got)
		}
		if got := worth(rr(rrtype), kindNoData); got != order[2].got {
			t.Errorf("that there is no set of type %d is worth %d, that there is no address %d", rrtype, got, order[2].got)
		}
	}
}

// What is no entry, or stands under what is no key, is worth nothing and is over.
func TestWhatIsNoEntryIsWorthNothing(t *testing.T) {
	const now = 1_700_000_000
	key := node{0, name(t, "www.example.")}.rrset(wire.TypeA, wire.ClassIN)
	good := seal(key, append(newEntry(header{kind: kindRRset, rank: secure, made: now, ttl: 3600}, 100), make([]byte, 100)...))
	changed := func(at int) []byte { c := bytes.Clone(good); c[at] ^= 0x40; return c }
	for what, c := range map[string]struct{ key, val []byte }{
		"a whole entry":                   {key, good},
		"cut off":                         {key, good[:len(good)-1]},
		"cut off in its header":           {key, good[:headerLen-1]},
		"nothing":                         {key, nil},
		"of another program":              {key, changed(0)},
		"of another schema":               {key, changed(2)},
		"of another length":               {key, changed(7)},
		"without a key":                   {nil, good},
		"under a key without an end":      {[]byte("\x07example"), good},
		"cut off, and under no whole key": {[]byte("\x07example"), good[:headerLen-1]},
	} {
		whole := what == "a whole entry"
		if got := Worth(c.key, c.val, now); (got > lmdbcache.Worthless) != whole {
			t.Errorf("%s: worth %d", what, got)
		}
		if got := isOver(c.key, c.val, now); got == whole {
			t.Errorf("%s: over %v", what, got)
		}
	}
	if !isOver(key, good, now+3601) || isOver(key, good, now+1) {
		t.Error("an entry is over before its time, or not behind it")
	}
}

// A better rank replaces an answer that lives as long; a worse one does not.
func TestABetterAnswerReplacesAWorseOne(t *testing.T) {
	q := question(t, "www.example.", wire.TypeA)
	for _, secureFirst := range []bool{false, true} {
		w := newWorld(t)
		ranks := []resolve.Result{
			resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")),
			resultOf(secure, rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")),
		}
		if secureFirst {
			ranks[0], ranks[1] = ranks[1], ranks[0]
		}
		for _, res := range ranks {
			w.answered(q, res)
		}
		if m, ok := w.ask(q, client{flags: wire.FlagAD}); !ok || m.Flags&wire.FlagAD == 0 {
			t.Errorf("the secure one came first %v: %+v", secureFirst, m)
		}
	}
}

// How long a denial holds says its SOA, wherever that stands beside it (RFC 2308, section 5).
func TestTheSOAOfADenialSaysHowLongItHolds(t *testing.T) {
	proof := sign(rrset(t, secure, "a.example.", wire.TypeNSEC, 7, "\x01z\x07example\x00\x00\x01\x40"), 2)
	for _, first := range []bool{false, true} {
		w := newWorld(t)
		q := question(t, "no.example.", wire.TypeA)
		authority := []resolve.Set{proof, sign(soa(t, secure, "example.", 60, 40), 1)}
		if first {
			authority[0], authority[1] = authority[1], authority[0]
		}
		if got := w.negativeTTL(&resolve.Outcome{Authority: authority}); got != 40 {
			t.Errorf("SOA first %v: %d seconds, want 40", first, got)
		}
		w.learn(q, resolve.Outcome{Kind: resolve.NoData, Authority: authority, Zone: name(t, "example.")})
		if o := w.peek(q); o.Kind != resolve.NoData {
			t.Errorf("SOA first %v: not kept", first)
		}
	}
	if got := newWorld(t).negativeTTL(&resolve.Outcome{Authority: []resolve.Set{proof}}); got != 0 {
		t.Errorf("without SOA: %d seconds", got)
	}
}

// That a name has no DNAME is nothing that leads elsewhere.
func TestAMissingDNAMELeadsNowhere(t *testing.T) {
	w := newWorld(t)
	q := question(t, "sub.example.", wire.TypeDNAME)
	w.learn(q, resolve.Outcome{Kind: resolve.NoData, Authority: []resolve.Set{soa(t, insecure, "example.", 60, 60)}, Zone: name(t, "example.")})
	if o := w.peek(q); o.Kind != resolve.NoData {
		t.Fatalf("the test proves nothing: %+v", o)
	}
	if o := w.peek(question(t, "www.sub.example.", wire.TypeA)); o.Kind != resolve.Pending {
		t.Errorf("a name below: %+v", o)
	}
	if o := w.peek(question(t, "sub.example.", wire.TypeA)); o.Kind != resolve.Pending {
		t.Errorf("the name: %+v", o)
	}
	alias := question(t, "a.example.", wire.TypeCNAME)
	w.learn(alias, resolve.Outcome{Kind: resolve.NoData, Authority: []resolve.Set{soa(t, insecure, "example.", 60, 60)}, Zone: name(t, "example.")})
	if o := w.peek(question(t, "a.example.", wire.TypeA)); o.Kind != resolve.Pending {
		t.Errorf("a name without CNAME: %+v", o)
	}
}

// A reader is told what the cache has, and that it has nothing.
func TestAReaderIsToldOfHitsAndMisses(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	var told []resolve.Step
	reading := func(r *resolve.Request) { r.Tell = func(_ *resolve.Query, s resolve.Step) { told = append(told, s) } }
	if w.peek(q, reading); len(told) != 1 {
		t.Errorf("a miss: %+v", told)
	} else if s, ok := told[0].(resolve.CacheMiss); !ok || s.Question != q {
		t.Errorf("a miss: %+v", told)
	}
	told = nil
	w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	if w.peek(q, reading); len(told) != 1 {
		t.Errorf("a hit: %+v", told)
	} else if _, ok := told[0].(resolve.CacheHit); !ok {
		t.Errorf("a hit: %+v", told)
	}
}
