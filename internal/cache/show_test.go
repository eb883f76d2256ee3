package cache

import (
	"fmt"
	"testing"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// shown are the entries of a name in a few words.
func (w *world) shown(owner string) (list []string) {
	w.Helper()
	entries, err := w.Show(name(w, owner), w.now())
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range entries {
		text := fmt.Sprintf("%d %s rank %d age %d left %d in %d:", e.Kind, wire.TypeText(e.Type), e.Rank, e.Age, e.Left, e.Partition)
		for _, s := range e.Sets {
			text += fmt.Sprintf(" %s %s %d", s.Owner, wire.TypeText(s.Type), s.TTL)
		}
		list = append(list, text+e.Reason)
	}
	return list
}

func (w *world) expectShown(owner string, want ...string) {
	w.Helper()
	if got := w.shown(owner); fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s\n got %q\nwant %q", owner, got, want)
	}
}

func TestWhatIsStoredIsShown(t *testing.T) {
	w := newWorld(t)
	w.expectShown("www.example.")
	w.learn(question(t, "www.example.", wire.TypeA), positive(rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	w.learn(question(t, "www.example.", wire.TypeTXT), resolve.Outcome{Kind: resolve.NoData, Authority: []resolve.Set{soa(t, insecure, "example.", 30, 30)}})
	w.in = 7
	w.learn(question(t, "www.example.", wire.TypeA), positive(rrset(t, insecure, "www.example.", wire.TypeA, 50, "\x01\x02\x03\x05")))
	w.in = 0
	w.pass(3)
	w.expectShown("www.example.",
		"0 A rank 48 age 3 left 57 in 0: www.example. A 57",
		"1 TXT rank 24 age 3 left 27 in 0: example. SOA 27",
		"0 A rank 24 age 3 left 47 in 7: www.example. A 47")
	w.expectShown("example.")
	w.pass(60)
	w.expectShown("www.example.")
}

func TestAnswersFailuresAndDelegationsAreShown(t *testing.T) {
	w := newWorld(t)
	set := rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	w.answered(question(t, "www.example.", wire.TypeA), resolve.Result{EDE: ede.None, Answer: []resolve.Set{set}, Rank: insecure}, withCD)
	w.expectShown("www.example.", "5 A rank 24 age 0 left 60 in 0: www.example. A 60")
	entries, _ := w.Show(name(t, "www.example."), w.now())
	if e := entries[0]; !e.CD || e.DO || e.Rcode != 0 {
		t.Errorf("%+v", e)
	}
	if _, err := w.Cache.Clear(); err != nil {
		t.Fatal(err)
	}
	w.answered(question(t, "bad.example.", wire.TypeA), resolve.Result{EDE: ede.NetworkError, EDEText: "nobody answers", Rcode: wire.RcodeServFail, NoCache: true, Failure: resolve.ErrTimeout})
	w.expectShown("bad.example.", fmt.Sprintf("4 A rank 0 age 0 left %d in 0:nobody answers", limits.ServfailTTL))
	w.Keep(cut(t, "example.", w.now()+100), w.now())
	entries, _ = w.Show(name(t, "example."), w.now())
	if len(entries) != 1 || entries[0].Kind != ShownCut || entries[0].Left != 100 || len(entries[0].Cut.NS) == 0 || entries[0].Type != wire.TypeNS {
		t.Errorf("%+v", entries)
	}
}

// A damaged entry is not shown, and neither are more than there is room for.
func TestWhatIsDamagedOrTooMuchIsNotShown(t *testing.T) {
	w := newWorld(t)
	w.learn(question(t, "www.example.", wire.TypeA), positive(rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	for key, val := range w.mem.m {
		val[len(val)-1] ^= 1
		w.mem.m[key] = val
	}
	w.expectShown("www.example.")
	at := node{0, name(t, "many.example.")}
	for i := range uint16(limits.ShownEntries + 10) {
		key := at.rrset(i+1000, wire.ClassIN)
		s := rrset(t, secure, "many.example.", i+1000, 60, "x")
		w.mem.m[string(key)] = seal(key, appendSets(newEntry(header{kind: kindRRset, rank: secure, made: w.now(), ttl: 60}, 0), []resolve.Set{s}))
	}
	if got := len(w.shown("many.example.")); got != limits.ShownEntries {
		t.Errorf("%d entries are shown", got)
	}
	w.Swap(nil)
	if _, err := w.Show(name(t, "www.example."), w.now()); err != ErrClosed {
		t.Errorf("a closed cache says %v", err)
	}
}

func TestASetIsInserted(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	set := rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	w.learn(q, resolve.Outcome{Kind: resolve.NXDomain, Authority: []resolve.Set{soa(t, insecure, "example.", 30, 30)}})
	w.answered(q, resolve.Result{EDE: ede.None, Rcode: wire.RcodeNXDomain, Authority: []resolve.Set{soa(t, insecure, "example.", 30, 30)}, Rank: insecure})
	if err := w.Insert(0, set, w.now()-10, w.now()); err != nil {
		t.Fatal(err)
	}
	w.expectShown("www.example.", "0 A rank 24 age 10 left 50 in 0: www.example. A 50")
	if o := w.peek(q); o.Kind != resolve.Positive || len(o.Answer) != 1 || o.Answer[0].TTL != 50 {
		t.Errorf("asked for it: %+v", o)
	}
	proven := set
	proven.Rank, proven.Data = secure, [][]byte{{9, 9, 9, 9}}
	if err := w.Insert(0, proven, w.now(), w.now()); err != nil {
		t.Fatal(err)
	}
	if err := w.Insert(0, set, w.now(), w.now()); err != nil {
		t.Fatal(err)
	}
	if o := w.peek(q); o.Answer[0].Data[0][0] != 9 {
		t.Errorf("a higher rank was replaced: %+v", o)
	}
	for what, bad := range map[string]func(*resolve.Set) int64{
		"class CH":          func(s *resolve.Set) int64 { s.Class = wire.ClassCH; return w.now() },
		"type ANY":          func(s *resolve.Set) int64 { s.Type = wire.TypeANY; return w.now() },
		"rank omit":         func(s *resolve.Set) int64 { s.Rank = 1; return w.now() },
		"no records":        func(s *resolve.Set) int64 { s.Data = nil; return w.now() },
		"ended already":     func(s *resolve.Set) int64 { return w.now() - 60 },
		"long before epoch": func(s *resolve.Set) int64 { return 1 },
	} {
		s := rrset(t, secure, "x.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
		if told := bad(&s); w.Insert(0, s, told, w.now()) == nil || len(w.shown("x.example.")) != 0 {
			t.Errorf("%s: it is stored", what)
		}
	}
}
