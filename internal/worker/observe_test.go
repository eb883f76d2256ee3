package worker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// console runs a command and returns what it prints.
func (w *Worker) console(t testing.TB, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, failed := w.vm.Eval(ctx, command)
	if failed {
		t.Fatalf("%s: %s", command, out)
	}
	return strings.TrimSpace(out)
}

// byHandler plays a question on the driver's way with all that listens to it.
func byHandler(t testing.TB, w *Worker, pkt []byte) *resolve.Request {
	t.Helper()
	var s scratch
	s.question.Parse(pkt)
	h, lq := w.newHandler(), &listen.Query{Wire: pkt, Client: someone, Received: w.clock.Mono()}
	req := h.request(&s.question, lq)
	msg := byDriver(t, w, pkt, someone)
	h.tell(&s, msg, lq, req)
	return req
}

func TestStatsCountBothWays(t *testing.T) {
	w := laboratory(t)
	w.console(t, "modules.unload('priming'); modules.load('stats')")
	pkt := shapes[1].message("www.example.com.", dns.TypeA)
	byHandler(t, w, pkt)
	flush(t, w)
	s, err := w.newHandler().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, v := byCache(t, s, pkt, someone); v != listen.Reply {
			t.Fatal("not answered from the cache")
		}
	}
	if _, v := byCache(t, s, shapes[0].message("new.example.com.", dns.TypeA), someone); v != listen.Driver {
		t.Fatal("answered from nothing")
	}
	for counter, want := range map[string]string{
		"answer.total": "4", "answer.noerror": "4", "answer.cached": "3", "answer.edns0": "4", "query.edns": "4", "query.dnssec": "0",
		"request.udp4": "4", "answer.rd": "4", "request.internal": "0",
	} {
		if got := w.console(t, "stats.get('"+counter+"')"); got != want {
			t.Errorf("%s is %s, want %s", counter, got, want)
		}
	}
	w.console(t, "modules.load('workarounds < iterate')") // threads open new accounts
	byCache(t, s, pkt, someone)
	s.Close()
	if got := w.console(t, "stats['answer.total']"); got != "5" {
		t.Errorf("%s answers after another module was loaded and the thread ended, want 5", got)
	}
	if got := w.console(t, "stats.upstreams() ~= nil and next(stats.upstreams()) ~= nil"); got != "true" {
		t.Errorf("no round trip is known: %s", got)
	}
	if got := w.console(t, "modules.list()[1]"); got != "workarounds" {
		t.Errorf("the first module is %s", got)
	}
}

func TestCountingAnswersAllocatesNothing(t *testing.T) {
	w := laboratory(t)
	w.console(t, "modules.load('stats')")
	w.console(t, "modules.load('querylog')") // as it stands before it knows where to write
	s, pkt := warm(t, w)
	defer s.Close()
	out := make([]byte, 0, 1<<16)
	s.Begin()
	s.End()
	n := testing.AllocsPerRun(1000, func() {
		s.Begin()
		s.Answer(pkt, &someone, out)
		s.End()
	})
	if n != 0 {
		t.Errorf("%v allocations for a cached answer that is counted", n)
	}
}

// Scripts see and set serve_stale's options; a function of theirs is called from
// the ways of queries.
func TestServeStaleBelongsToScripts(t *testing.T) {
	w := laboratory(t)
	w.console(t, "modules.load('serve_stale < cache')")
	if got := w.console(t, "serve_stale.timeout"); got != "3000" {
		t.Errorf("timeout is %s", got)
	}
	w.console(t, "serve_stale.timeout = 1.8 * sec")
	if got := w.console(t, "serve_stale.timeout"); got != "1800" {
		t.Errorf("timeout is %s after it was set to 1800", got)
	}
	w.console(t, "serve_stale.callback = function(ttl, name, type, qry) return -ttl + type + qry.stype + #qry:name() end")
	inst := w.chain.Instance("serve_stale")
	v, err := inst.Get("callback")
	if err != nil {
		t.Fatal(err)
	}
	call, ok := scripted(w.vm.VM)(v)
	if !ok {
		t.Fatalf("the callback is %T", v)
	}
	req := &resolve.Request{Question: resolve.Question{Name: "\x03www\x00", Type: wire.TypeAAAA, Class: wire.ClassIN}}
	if out, err := call(req, -60.0, "\x03www\x00", 1.0); err != nil || len(out) != 1 || out[0] != 60.0+1+28+5 {
		t.Errorf("the callback returned %v, %v", out, err)
	}
	if out, failed := w.vm.Eval(context.Background(), "serve_stale.callback = 5"); !failed || !strings.Contains(out, "function") {
		t.Errorf("a number as callback: %s", out)
	}
}
