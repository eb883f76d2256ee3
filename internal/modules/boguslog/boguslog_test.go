package boguslog

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

type fixture struct {
	*testing.T
	*module.Instance
	clock *clock.Fake
	lines []string
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, clock: clock.NewFake(time.Unix(1e9, 0))}
	inst, err := Module().Open(&module.Host{Clock: &f.clock.Clock, Warn: func(line string) { f.lines = append(f.lines, line) }})
	if err != nil {
		t.Fatal(err)
	}
	f.Instance = inst
	return f
}

func (f *fixture) question(name string, rrtype uint16) resolve.Question {
	n, err := dnsname.Parse(name)
	if err != nil {
		f.Fatal(err)
	}
	return resolve.Question{Name: n, Type: rrtype, Class: wire.ClassIN}
}

func (f *fixture) failure(name string, err error) {
	r := &resolve.Request{Question: f.question(name, wire.TypeA)}
	if r.Result.EDE = ede.None; err != nil {
		r.Result.Fail(err)
	}
	f.Layer.Finalize(r)
}

// frequent is what the function of that name says.
func (f *fixture) frequent() (rows []string) {
	out, err := f.Functions[0].Fn(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, row := range out[0].(*luavalue.Table).Values() {
		r := row.(*luavalue.Table)
		rows = append(rows, fmt.Sprintf("%v %s %s", r.Get("count"), r.Get("name"), r.Get("type")))
	}
	return rows
}

func expired() error {
	return &resolve.Failure{EDE: ede.SignatureExpired, Text: "signature of a.test. A expired 3 days ago"}
}

func TestEachNameIsToldOnceInAWhileAndCountedAlways(t *testing.T) {
	f := newFixture(t)
	f.failure("a.test.", expired())
	f.failure("a.test.", expired())
	f.failure("b.test.", fmt.Errorf("zone test.: %w", &resolve.Failure{EDE: ede.DNSKEYMissing, About: f.question("test.", wire.TypeDNSKEY), Text: "none of the 2 keys"}))
	f.clock.Advance(limits.BogusLogPause)
	f.failure("a.test.", &resolve.Failure{EDE: ede.RRSIGsMissing, Remembered: true})
	want := []string{
		"DNSSEC validation failure a.test. A: signature of a.test. A expired 3 days ago", "DNSSEC validation failure test. DNSKEY: none of the 2 keys",
		"DNSSEC validation failure a.test. A",
	}
	if got := strings.Join(f.lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("lines\n%s", got)
	}
	if got := strings.Join(f.frequent(), ", "); got != "3 a.test. A, 1 test. DNSKEY" {
		t.Errorf("frequent: %s", got)
	}
}

func TestWhatFailsOtherwiseIsNotBogus(t *testing.T) {
	f := newFixture(t)
	f.failure("a.test.", nil)
	f.failure("a.test.", resolve.ErrNoServer)
	f.failure("a.test.", errors.New("else"))
	f.Layer.Finalize(&resolve.Request{Question: f.question("a.test.", wire.TypeA), Inner: true, Result: resolve.Result{Failure: expired()}})
	if len(f.lines) != 0 || len(f.frequent()) != 0 {
		t.Errorf("%q, %q", f.lines, f.frequent())
	}
}

// A flood of names of a broken zone is a bounded number of lines.
func TestAFloodOfNamesFillsNoLog(t *testing.T) {
	f := newFixture(t)
	for i := range limits.BogusLogLines + 7 {
		f.failure(fmt.Sprintf("n%d.test.", i), expired())
	}
	if len(f.lines) != limits.BogusLogLines {
		t.Fatalf("%d lines", len(f.lines))
	}
	f.clock.Advance(time.Minute)
	f.failure("last.test.", expired())
	if got := f.lines[len(f.lines)-1]; !strings.HasSuffix(got, "(since the line before, 7 other failures were only counted)") {
		t.Error(got)
	}
	for i := range limits.FrequentNames {
		f.failure(fmt.Sprintf("m%d.test.", i), expired())
	}
	if n := len(f.frequent()); n != limits.FrequentNames {
		t.Errorf("%d questions are counted", n)
	}
}

// A minute begins with its first line; what was left out is told once.
func TestTheMinuteOfALine(t *testing.T) {
	f := newFixture(t)
	n := 0
	fail := func(times int) (lines int) {
		before := len(f.lines)
		for range times {
			n++
			f.failure(fmt.Sprintf("n%d.test.", n), expired())
		}
		return len(f.lines) - before
	}
	fail(1)
	f.clock.Advance(time.Minute - time.Second)
	if got := fail(limits.BogusLogLines + 4); got != limits.BogusLogLines-1 {
		t.Errorf("%d lines more in the first minute", got)
	}
	f.clock.Advance(time.Second)
	if got := fail(limits.BogusLogLines + 1); got != limits.BogusLogLines {
		t.Errorf("%d lines in the second minute", got)
	}
	for i, line := range f.lines[limits.BogusLogLines:] {
		if got := strings.Contains(line, "5 other failures were only counted"); got != (i == 0) || strings.Contains(line, "were only counted") != got {
			t.Errorf("line %d of the second minute: %s", i+1, line)
		}
	}
	f.clock.Advance(time.Minute - time.Second)
	if got := fail(1); got != 0 {
		t.Errorf("%d lines more in the second minute", got)
	}
}

// The names that were told have bounded room.
func TestNamesThatWereToldAreBounded(t *testing.T) {
	b := &bogusLog{host: &module.Host{Clock: &clock.NewFake(time.Unix(1e9, 0)).Clock}, told: map[dnsname.Name]time.Duration{}}
	f := newFixture(t)
	for i := range 2*limits.FrequentNames + 3 {
		b.lines = 0
		if b.line(f.question(fmt.Sprintf("n%d.test.", i), wire.TypeA), "") == "" {
			t.Fatalf("name %d is not told", i)
		}
		if len(b.told) > limits.FrequentNames {
			t.Fatalf("%d names are kept", len(b.told))
		}
	}
	if len(b.told) != 3 {
		t.Errorf("%d names are kept, want those since the others were forgotten", len(b.told))
	}
}
