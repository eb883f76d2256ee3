package explain

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// still is a clock that stands.
func still() time.Duration { return 0 }

func request(t *testing.T) *resolve.Request {
	return &resolve.Request{Question: resolve.Question{Name: name(t, "www.example."), Type: wire.TypeA, Class: wire.ClassIN}, Budget: resolve.NewBudget(nil)}
}

// A request that does very much is told in part.
func TestStoriesAreBounded(t *testing.T) {
	s := NewStory(still)
	s.Keep = true
	req := request(t)
	s.Begin(req)
	for range 100000 {
		req.Tell(nil, resolve.Failed{Err: errors.New(strings.Repeat("x", 100))})
	}
	if text := s.End(req); len(text) > 200000 || !strings.Contains(text, "the rest is not told") {
		t.Errorf("%d octets", len(text))
	}
}

// Where a step stands follows from its type: what happens within one question to a
// server lies below it, up to what its answer means or its silence; a step that
// says nothing has no line.
func TestTheTreeFollowsFromSteps(t *testing.T) {
	s := NewStory(still)
	s.Keep = true
	var log []string
	s.Log = func(_ *resolve.Query, component string, level int, text string) {
		log = append(log, component+" "+strings.Repeat("  ", level)+text)
	}
	req := request(t)
	s.Begin(req)
	q := &resolve.Query{Question: req.Question, ID: 1}
	sub := &resolve.Query{ID: 2, Question: resolve.Question{Name: name(t, "ns.example."), Type: wire.TypeA}, Parent: q}
	addr := netip.MustParseAddrPort("192.0.2.1:53")
	asking := resolve.Asking{To: resolve.Peer{By: resolve.ByForwardRule, Addr: addr}, How: resolve.Server{TCP: true}, Question: req.Question}
	same := &resolve.Result{}
	for _, step := range []struct {
		of   *resolve.Query
		step resolve.Step
	}{
		{q, resolve.CacheMiss{Question: req.Question}},
		{q, asking}, {q, resolve.Chosen{Why: selection.Reason{Ground: selection.OnlyServer}}}, {q, resolve.Silent{From: zonecut.Endpoint{Addr: addr}, Err: resolve.ErrTimeout}},
		{q, resolve.LookupRefused{NS: sub.Name, Err: resolve.ErrDepth}},
		{sub, asking}, {sub, resolve.Replied{From: zonecut.Endpoint{Addr: addr}, Reply: resolve.Reply{Msg: &wire.Msg{}}}}, {sub, resolve.Concluded{Outcome: &resolve.Outcome{Kind: resolve.NoData}}},
		{sub, resolve.AddressNotFound{NS: sub.Name}},
		{nil, resolve.ModuleFinalized{Module: "m", Before: same, After: same}},
		{q, resolve.Failed{Err: resolve.ErrLame}},
	} {
		req.Tell(step.of, step.step)
	}
	tree := s.End(req)
	want := `www.example. A                                                                        NOERROR 0.00 ms, 0 questions to servers
|- cache: not in the cache: www.example. A
|- asked forwarder 192.0.2.1 by TCP: www.example. A
|  |- chosen: the only one
|  ` + "`" + `- nothing from 192.0.2.1 by UDP in time
|- plan: cannot look up ns.example.: ` + resolve.ErrDepth.Error() + `
|- ns.example. A
|  |- asked forwarder 192.0.2.1 by TCP: www.example. A
|  |  |- answer from 192.0.2.1 by UDP: NOERROR, 0 answer, 0 authority, 0 additional, 0 octets in 0s
|  |  ` + "`" + `- no such type
|  ` + "`" + `- plan: no address of the name server ns.example. was found
|- plan: failed: ` + resolve.ErrLame.Error() + `
|- result: the name has no such records
` + "`" + `- extended error 0 (other error)`
	if tree != want {
		t.Errorf("got\n%s\nwant\n%s", tree, want)
	}
	wantLog := []string{"plan www.example. A, asked by the resolver itself", "cache   not in the cache: www.example. A", "resl   asked forwarder 192.0.2.1 by TCP: www.example. A",
		"nsre     chosen: the only one", "resl     nothing from 192.0.2.1 by UDP in time"}
	for i, w := range wantLog {
		if log[i] != w {
			t.Errorf("line %d of the log: %q, want %q", i, log[i], w)
		}
	}
}
