package worker

import (
	"testing"

	"kresd/internal/listen"
	"kresd/internal/proctest"
	"kresd/internal/transport"
	"kresd/internal/version"
	"kresd/internal/wire"
)

// Every odd message has its one reaction, over UDP and TCP, and what is looked
// for by the driver the second time comes from the cache.
func TestOddMessages(t *testing.T) {
	w := laboratory(t)
	host := "odd.host.example"
	w.settings.Hostname.Store(&host)
	for _, o := range proctest.Odds(version.String(), host) {
		for _, kind := range []transport.Kind{transport.UDP, transport.TCP} {
			from := someone
			from.Kind = kind
			s, err := w.newHandler().NewSession() // each with a budget of errors of its own
			if err != nil {
				t.Fatal(err)
			}
			if got := reaction(t, w, s, &o, from); got != o.Want {
				t.Errorf("%q over %v: %s, want %s", o.What, kind, got, o.Want)
			}
			s.Close()
		}
	}
}

func reaction(t *testing.T, w *Worker, s listen.Session, o *proctest.Odd, from listen.Client) string {
	t.Helper()
	msg, handling := byCache(t, s, o.Packet, from)
	switch handling {
	case listen.Drop:
		return "silence"
	case listen.Driver:
		msg = byDriver(t, w, o.Packet, from)
		flush(t, w)
		if again, v := byCache(t, s, o.Packet, from); v == listen.Reply && o.Reaction(again) != o.Reaction(msg) {
			t.Errorf("%q: the driver says %s, the cache %s", o.What, o.Reaction(msg), o.Reaction(again))
		}
	}
	return o.Reaction(msg)
}

// Where nothing else can be said SERVFAIL is, but not to what deserves silence.
func TestFailIsForQuestions(t *testing.T) {
	h := laboratory(t).newHandler()
	for _, o := range proctest.Odds("", "") {
		if msg := h.Fail(o.Packet, &someone, nil); (msg == nil) != (o.Want == "silence") {
			t.Errorf("%q: Fail makes %x", o.What, msg)
		}
	}
}

// Garbage is answered so many times a second and no more.
func TestGarbageIsAnsweredSparingly(t *testing.T) {
	w := laboratory(t)
	s, err := w.newHandler().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	header := make([]byte, wire.HeaderLen)
	answered := 0
	for range 10000 {
		if _, v := byCache(t, s, header, someone); v == listen.Reply {
			answered++
		}
	}
	if answered == 0 || answered > 1000 {
		t.Errorf("%d of 10000 were answered", answered)
	}
}

// FuzzSession: whatever comes from a client, the session says one of three
// things about it, and its answers are answers to that message.
func FuzzSession(f *testing.F) {
	for _, o := range proctest.Odds("", "") {
		f.Add(o.Packet, false)
	}
	w := laboratory(f)
	warmed, _ := warm(f, w)
	warmed.Close()
	s, err := w.newHandler().NewSession()
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	f.Fuzz(func(t *testing.T, pkt []byte, tcp bool) {
		from := someone
		if tcp {
			from.Kind = transport.TCP
		}
		msg, v := byCache(t, s, pkt, from)
		switch v {
		case listen.Drop:
			return
		case listen.Driver:
			msg = w.newHandler().Fail(pkt, &someone, nil)
		}
		m, err := wire.Parse(msg)
		if err != nil {
			t.Fatalf("%x: answered with %x: %v", pkt, msg, err)
		}
		if m.Flags&wire.FlagQR == 0 || msg[0] != pkt[0] || msg[1] != pkt[1] {
			t.Fatalf("%x: answered with %x", pkt, msg)
		}
	})
}
