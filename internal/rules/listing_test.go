package rules

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// listing builds one; each entry is a name, with "*." before it for all names below.
func listing(t testing.TB, entries map[string]Verdict) *Listing {
	t.Helper()
	b := NewBuilder(0)
	for text, v := range entries {
		put(t, b, text, v)
	}
	return built(t, b)
}

func put(t testing.TB, b *Builder, text string, v Verdict) {
	t.Helper()
	rest, below := strings.CutPrefix(text, "*.")
	if rest == "" {
		rest = "."
	}
	if err := b.Put(name(t, rest), below, v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func built(t testing.TB, b *Builder) *Listing {
	t.Helper()
	l, err := b.Done(1)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestExactNamesComeBeforeWildcardsAndCloserOnesFirst(t *testing.T) {
	l := listing(t, map[string]Verdict{
		"a.example": Given, "*.a.example": ListPass, "x.y.a.example": ListDrop, "*.y.a.example": ListTruncate, "*.": Given, "b.test": ListPass,
	})
	for text, want := range map[string]string{
		"a.example": "1@0", "A.Example": "1@0", "z.a.example": "2@2", "y.a.example": "2@2", "x.y.a.example": "3@0", "z.y.a.example": "4@2",
		"q.z.y.a.example": "4@4", "z.x.y.a.example": "4@4", "b.test": "2@0", "c.b.test": "1@9", "example": "1@8", ".": "0@0", "aa.example": "1@11",
	} {
		if v, at := l.find(subject(t, text)); fmt.Sprintf("%d@%d", v, at) != want {
			t.Errorf("%s: %d@%d, want %s", text, v, at, want)
		}
	}
	if l.Len() != 6 {
		t.Errorf("%d verdicts", l.Len())
	}
	if v, at := listing(t, nil).find(subject(t, "a.example")); v != Unlisted || at != 0 {
		t.Errorf("an empty listing: %d@%d", v, at)
	}
}

// A listing says what a plain map says, on the heap and outside of it.
func TestListingsSayWhatWasPut(t *testing.T) {
	for _, n := range []int{1, 100, limits.ListOnHeap / 25} {
		r := rand.New(rand.NewPCG(uint64(n), 1))
		random := func() string {
			text := fmt.Sprintf("n%d.example", r.IntN(n))
			for range r.IntN(3) {
				text = fmt.Sprintf("l%d.", r.IntN(3)) + text
			}
			return text
		}
		want := map[string]Verdict{}
		for range n {
			text := random()
			if r.IntN(2) == 0 {
				text = "*." + text
			}
			want[text] = Given + Verdict(r.IntN(4))
		}
		l := listing(t, want)
		for range 2 * n {
			text := random()
			v := want[text]
			for up := text; v == Unlisted && up != ""; {
				_, up, _ = strings.Cut(up, ".")
				v = want["*."+up]
			}
			if got, _ := l.find(subject(t, text)); got != v {
				t.Fatalf("%d names, %s: %d, want %d", n, text, got, v)
			}
		}
	}
}

func TestOneNameHasOneVerdict(t *testing.T) {
	b := NewBuilder(0)
	n := name(t, "a.example")
	put(t, b, "a.example", Given)
	put(t, b, "a.example", Given)
	if err := b.Put(n, false, ListPass); err == nil {
		t.Error("a second verdict was taken")
	}
	if err := b.Data(n, false, wire.TypeA, 60, []byte{192, 0, 2, 1}); err == nil {
		t.Error("data were taken beside a verdict")
	}
	if err := errors.Join(b.Put(n, true, ListPass), b.NoData(name(t, "b.example"), false)); err != nil {
		t.Error(err)
	}
	if err := b.Data(name(t, "b.example"), false, wire.TypeA, 60, []byte{192, 0, 2, 1}); err == nil {
		t.Error("data were taken for a name without data")
	}
	if l := built(t, b); l.Len() != 3 {
		t.Errorf("%d verdicts", l.Len())
	}
}

// answered is what a table answers about a name on both ways, which are to say the same.
func answered(t *testing.T, table *Table, text string, qtype uint16) string {
	t.Helper()
	req := &resolve.Request{Question: resolve.Question{Name: name(t, text), Type: qtype, Class: wire.ClassIN}, Client: netip.MustParseAddrPort("192.0.2.9:5353")}
	decision := table.Try(req, SubjectOf(req), false)
	s := subject(t, text)
	s.Type = qtype
	if d := table.Decide(s); d.Sure && d.Decision != decision {
		t.Errorf("%s: foreseen is %d, and done %d", text, d.Decision, decision)
	}
	var out []string
	for _, set := range req.Result.Answer {
		out = append(out, fmt.Sprintf("%d %v", set.TTL, set.Data))
	}
	return fmt.Sprintf("%d %v", decision, out)
}

func TestDataOfAListIsAnswered(t *testing.T) {
	b := NewBuilder(0)
	data := func(text string, below bool, qtype uint16, ttl uint32, rdata ...byte) {
		t.Helper()
		if err := b.Data(name(t, text), below, qtype, ttl, rdata); err != nil {
			t.Fatal(err)
		}
	}
	data("a.example", false, wire.TypeA, 60, 192, 0, 2, 1)
	data("a.example", true, wire.TypeA, 60, 192, 0, 2, 9)
	data("a.example", false, wire.TypeA, 30, 192, 0, 2, 2)
	data("a.example", false, wire.TypeA, 30, 192, 0, 2, 2)
	data("a.example", false, wire.TypeTXT, 10, 1, 'x')
	for i := range 2 * limits.ListPrepared { // most are answered on the driver's way
		data(fmt.Sprintf("n%d.example", i), false, wire.TypeA, 60, 10, 0, byte(i>>8), byte(i))
	}
	if err := b.NoData(name(t, "none.example"), false); err != nil {
		t.Fatal(err)
	}
	list := NewList("file", built(t, b))
	if n := list.Listing().Len(); n != 3+2*limits.ListPrepared {
		t.Errorf("%d verdicts", n)
	}
	table := NewTable(func(id int, what string) string { return what }, nil)
	table.Add(1, &Rule{Filter: Listed(list), Action: Deny()})
	for text, want := range map[string]string{
		"a.example": "2 [30 [[192 0 2 1] [192 0 2 2]]]", "x.y.a.example": "2 [60 [[192 0 2 9]]]",
		"n0.example": "2 [60 [[10 0 0 0]]]", "n2047.example": "2 [60 [[10 0 7 255]]]", "none.example": "2 []", "example": "0 []",
	} {
		if got := answered(t, table, text, wire.TypeA); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := answered(t, table, "a.example", wire.TypeAAAA); got != "2 []" {
		t.Errorf("a type that is not there: %s", got)
	}
}

// What a list costs is bounded, whatever a file says.
func TestListsAreBounded(t *testing.T) {
	b, n := NewBuilder(0), name(t, "a.example")
	var err error
	for i := 0; err == nil && i < limits.ListData; i++ {
		err = b.Data(n, false, wire.TypeA, 60, []byte{10, 0, byte(i >> 8), byte(i)})
	}
	if !errors.Is(err, errDataSize) {
		t.Errorf("data of one name: %v", err)
	}
	big := make([]byte, limits.ListData-recordHead)
	for i := 0; i <= limits.ListSets/limits.ListData+1; i++ { // names in turn, none of them at once
		big[0], big[1], big[2] = byte(i), byte(i>>8), byte(i>>16)
		if err = b.Data(name(t, fmt.Sprintf("n%d.example", i)), false, wire.TypeTXT, 60, big); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrListFull) {
		t.Errorf("data of many names: %v", err)
	}
}

// A line that says nothing new costs a look at what its name has, and no copy of it, in
// whichever order a hostile file has its lines.
func TestRecordsThatANameHasAlreadyCostNoCopyOfItsData(t *testing.T) {
	b, names, last := NewBuilder(0), [2]dnsname.Name{name(t, "a.example"), name(t, "b.example")}, byte(100)
	for _, n := range names {
		for i := range last + 1 {
			if err := b.Data(n, false, wire.TypeA, 60, []byte{192, 0, 2, i}); err != nil {
				t.Fatal(err)
			}
		}
	}
	rdata, turn := []byte{192, 0, 2, last}, 0
	if n := testing.AllocsPerRun(100, func() {
		turn++
		if err := b.Data(names[turn%2], false, wire.TypeA, 60, rdata); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a record that is there", n)
	}
	if l := built(t, b); l.Len() != 2 || l.data.len() != 1 {
		t.Errorf("%d verdicts with %d sets, want 2 with one", l.Len(), l.data.len())
	}
}

// What was kept of a resolver is good for other lists of names that are denied, and not for
// those that name what is resolved without it.
func TestTheFingerprintIsThatOfNamesWhichPass(t *testing.T) {
	forward, err := Forward([]Server{{Text: "192.0.2.53"}}, &Peers{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		action  *Action
		entries map[string]Verdict
		same    bool
	}{
		{Deny(), map[string]Verdict{"a.example": Given}, true},
		{Deny(), map[string]Verdict{"a.example": ListDrop}, true},
		{Deny(), map[string]Verdict{"a.example": ListPass}, false},
		{Deny(), map[string]Verdict{"*.a.example": ListTruncate}, false},
		{Pass(), map[string]Verdict{"a.example": Given}, false},
		{forward, map[string]Verdict{"a.example": Given}, false},
	} {
		list := NewList("file", listing(t, nil))
		table := NewTable(func(id int, what string) string { return what }, nil)
		table.Add(1, &Rule{Filter: Listed(list), Action: c.action})
		table.Add(2, &Rule{Filter: All(), Action: forward})
		before := table.Fingerprint()
		b := NewBuilder(0)
		for text, v := range c.entries {
			put(t, b, text, v)
		}
		other, err := b.Done(2)
		if err != nil {
			t.Fatal(err)
		}
		list.Use(other)
		table.Renew()
		if same := table.Fingerprint() == before; same != c.same {
			t.Errorf("%s, %v: the fingerprint is the same: %t", c.action, c.entries, same)
		}
	}
}

// A list that is replaced is in force at once.
func TestAListIsReplacedWhileItIsLookedAt(t *testing.T) {
	large := map[string]Verdict{}
	for i := range limits.ListOnHeap / 20 {
		large[fmt.Sprintf("n%d.example", i)] = Given
	}
	list := NewList("file", listing(t, large))
	table := NewTable(func(id int, what string) string { return what }, nil)
	table.Add(1, &Rule{Filter: Listed(list), Action: Deny()})
	forward, err := Forward([]Server{{Text: "192.0.2.53"}}, &Peers{})
	if err != nil {
		t.Fatal(err)
	}
	table.Add(2, &Rule{Filter: All(), Action: forward})
	before := table.Fingerprint()
	stop, ended := make(chan struct{}), make(chan struct{})
	s := subject(t, "n1.example")
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				table.Decide(s)
			}
		}
	}()
	for i := range 20 {
		b := NewBuilder(0)
		for text := range large {
			put(t, b, text, Given)
		}
		l, err := b.Done(uint64(i) + 2)
		if err != nil {
			t.Fatal(err)
		}
		list.Use(l)
		runtime.GC() // the room of the one before is given back
	}
	close(stop)
	<-ended
	table.Renew()
	if d := table.Decide(s); d.Decision != Answered || table.Fingerprint() != before {
		t.Errorf("%+v, fingerprint %d, was %d", d, table.Fingerprint(), before)
	}
	list.Use(listing(t, nil))
	if d := table.Decide(s); d.Decision != Stop || !d.Elsewhere {
		t.Errorf("without the name: %+v", d)
	}
}

func TestListedNamesAreLookedUpWithoutAllocation(t *testing.T) {
	table := NewTable(func(id int, what string) string { return what }, nil)
	table.Add(1, &Rule{Filter: Listed(NewList("file", listing(t, map[string]Verdict{"a.example": Given, "*.b.example": ListPass}))), Action: Deny()})
	for _, text := range []string{"a.example", "x.b.example", "x.y.z.example"} {
		s := subject(t, text)
		if n := testing.AllocsPerRun(100, func() { table.Decide(s) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkListedNames(b *testing.B) {
	builder := NewBuilder(0)
	for i := range 1000000 {
		if err := builder.Put(name(b, fmt.Sprintf("tracker%d.example.com", i)), i%2 == 0, Given); err != nil {
			b.Fatal(err)
		}
	}
	l := built(b, builder)
	var subjects [4096]*Subject
	for i := range subjects {
		subjects[i] = subject(b, fmt.Sprintf("www.tracker%d.example.com", i*479))
	}
	b.ReportMetric(float64(l.Octets())/1e6, "octets/name")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.find(subjects[i%len(subjects)])
	}
}
