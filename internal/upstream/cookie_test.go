package upstream

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// cookieIn is the COOKIE option of a query; nil: there is none.
func cookieIn(q []byte) []byte {
	m, err := wire.Parse(q)
	if err != nil {
		return nil
	}
	cookie, _ := wire.Option(m.Options, wire.OptionCookie)
	return cookie
}

// withCookie appends an OPT record with a cookie and RCODE to an answer.
func withCookie(r []byte, rcode int, cookie string) []byte {
	r = slices.Clone(r)
	r[3] = r[3]&0xf0 | byte(rcode&0xf)
	r[11]++
	var options []byte
	if cookie != "" {
		options = wire.AppendOption(nil, wire.OptionCookie, []byte(cookie))
	}
	return wire.AppendOPT(r, 1232, rcode, true, options)
}

// echo is what a server that knows cookies says: our cookie and its own.
func echo(q []byte, server string) string {
	c := cookieIn(q)
	if len(c) < 8 {
		return ""
	}
	return string(c[:8]) + server
}

// asking is a question to a server in plain DNS.
func asking(to netip.AddrPort) *resolve.Exchange {
	x := &resolve.Exchange{}
	x.Addr = to
	return x
}

const first, second = "server-1", "server-number-two"

// honestCookies answers with cookies over both transports.
func honestCookies(s *testServer, from netip.AddrPort, q []byte) {
	s.send(from, withCookie(reply(q, truth), 0, echo(q, first)))
}

func honestCookiesTCP(s *testServer, c net.Conn) {
	for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
		writeFrame(c, withCookie(reply(q, truth), 0, echo(q, first)))
	}
}

// A server that showed cookies once is not believed without over UDP: with all else
// right, a forger's answer is ignored and the question goes over TCP.
func TestAnswersWithoutOurCookieAreIgnored(t *testing.T) {
	for what, forge := range map[string]func(q []byte) []byte{
		"no OPT":                     func(q []byte) []byte { return reply(q, evil) },
		"no cookie":                  func(q []byte) []byte { return withCookie(reply(q, evil), 0, "") },
		"another client cookie":      func(q []byte) []byte { return withCookie(reply(q, evil), 0, "12345678"+first) },
		"the server's cookie alone":  func(q []byte) []byte { return withCookie(reply(q, evil), 0, first) },
		"BADCOOKIE without ours":     func(q []byte) []byte { return withCookie(reply(q, evil), 23, "12345678"+second) },
		"seven octets":               func(q []byte) []byte { return withCookie(reply(q, evil), 0, echo(q, "")[:7]) },
		"ours, and too much behind":  func(q []byte) []byte { return withCookie(reply(q, evil), 0, echo(q, strings.Repeat("x", 33))) },
		"ours, and too little":       func(q []byte) []byte { return withCookie(reply(q, evil), 0, echo(q, "1234567")) },
		"FORMERR without a cookie":   func(q []byte) []byte { return withCookie(reply(q, evil), 1, "") },
		"NXDOMAIN, old servers' way": func(q []byte) []byte { r := reply(q, evil); r[3] |= 3; return r },
	} {
		for _, tcp := range []bool{true, false} {
			var forging atomic.Bool
			s := &testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
				if forging.Load() {
					s.send(from, forge(q))
				}
				honestCookies(s, from, q)
			}}
			if tcp {
				s.onTCP = honestCookiesTCP
			}
			s.start(t, "127.0.0.1")
			e := newExchanger(t, Config{})
			r, err := e.Exchange(background, question(t, s.addr, "a.example."))
			if got := address(t, r, err); got != truth || r.TCP {
				t.Fatalf("%s: first answer %x %+v", what, got, r)
			}
			forging.Store(true)
			r, err = e.Exchange(background, question(t, s.addr, "b.example."))
			if got := address(t, r, err); got != truth || r.TCP != tcp {
				t.Errorf("%s, with TCP %v: got %x over TCP %v", what, tcp, got, r.TCP)
			}
			if n := e.Stats().CookieLost; n != 1 {
				t.Errorf("%s: %d counted", what, n)
			}
		}
	}
}

// A server gets its own cookie back, and the same one of ours.
func TestServersGetTheirCookieBack(t *testing.T) {
	got := make(chan string, 4)
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		q := s.readFrame(c)
		got <- string(cookieIn(q))
		writeFrame(c, withCookie(reply(q, truth), 0, echo(q, second)))
	}, onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		got <- string(cookieIn(q))
		honestCookies(s, from, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "a.example.")
	for _, tcp := range []bool{false, true, false} {
		x.TCP = tcp
		r, err := e.Exchange(background, x)
		address(t, r, err)
	}
	ours := <-got
	if len(ours) != 8 {
		t.Fatalf("the first question has cookie %x, want eight octets", ours)
	}
	for _, want := range []string{ours + first, ours + second} {
		if c := <-got; c != want {
			t.Errorf("got %q, want %q", c, want)
		}
	}
}

// BADCOOKIE is asked again with the new cookie, once; what insists is asked over
// TCP.
func TestBadCookie(t *testing.T) {
	for _, c := range []struct {
		name      string
		insists   bool
		tcp       bool
		udp, sent int
	}{{"once", false, false, 2, 2}, {"always", true, true, 2, 3}} {
		s := (&testServer{onTCP: honestCookiesTCP, onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			if got := cookieIn(q); c.insists || string(got[8:]) != second {
				s.send(from, withCookie(reply(q, evil), 23, echo(q, second)))
				return
			}
			s.send(from, withCookie(reply(q, truth), 0, echo(q, second)))
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		x := question(t, s.addr, "a.example.")
		r, err := e.Exchange(background, x)
		if got := address(t, r, err); got != truth || r.TCP != c.tcp {
			t.Errorf("%s: got %x over TCP %v", c.name, got, r.TCP)
		}
		if n := s.udpQueries.Load(); n != int64(c.udp) || x.Budget.Sent() != c.sent {
			t.Errorf("%s: %d questions over UDP and %d in all, want %d and %d", c.name, n, x.Budget.Sent(), c.udp, c.sent)
		}
	}
}

// Servers that do not know cookies cost nothing, whatever they do with the option.
func TestServersWithoutCookies(t *testing.T) {
	for what, onUDP := range map[string]func(s *testServer, from netip.AddrPort, q []byte){
		"no EDNS":         truthUDP,
		"option left out": func(s *testServer, from netip.AddrPort, q []byte) { s.send(from, withCookie(reply(q, truth), 0, "")) },
		"option sent back": func(s *testServer, from netip.AddrPort, q []byte) {
			s.send(from, withCookie(reply(q, truth), 0, echo(q, "")))
		},
	} {
		s := (&testServer{onUDP: onUDP}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		for i := range 3 {
			x := question(t, s.addr, itoa(i)+".example.")
			r, err := e.Exchange(background, x)
			if got := address(t, r, err); got != truth || x.Budget.Sent() != 1 {
				t.Errorf("%s: got %x with %d questions", what, got, x.Budget.Sent())
			}
		}
	}
}

// A server that takes the option for an error does not get it again.
func TestFormerrToACookie(t *testing.T) {
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		if cookieIn(q) != nil {
			s.send(from, withCookie(reply(q, truth), 1, ""))
			return
		}
		s.send(from, withCookie(reply(q, truth), 0, ""))
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for i, want := range []int{wire.RcodeFormErr, 0, 0} {
		r, err := e.Exchange(background, question(t, s.addr, itoa(i)+".example."))
		if err != nil || r.Msg.Rcode != want {
			t.Errorf("question %d: %+v %v, want RCODE %d", i, r, err, want)
		}
	}
}

// A server that has given up cookies is believed after one question over TCP, or
// where it has none, after one more over UDP.
func TestAServerGivesUpCookies(t *testing.T) {
	for _, tcp := range []bool{true, false} {
		var given atomic.Bool
		s := &testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			if given.Load() {
				truthUDP(s, from, q)
			} else {
				honestCookies(s, from, q)
			}
		}}
		if tcp {
			s.onTCP = truthTCP
		}
		s.start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		ask := func(text string, want int, overTCP bool) {
			x := question(t, s.addr, text)
			x.Timeout = time.Second
			r, err := e.Exchange(background, x)
			if got := address(t, r, err); got != truth || r.TCP != overTCP || x.Budget.Sent() != want {
				t.Errorf("%s, server with TCP %v: got %x over TCP %v with %d questions, want %d", text, tcp, got, r.TCP, x.Budget.Sent(), want)
			}
		}
		ask("a.example.", 1, false)
		given.Store(true)
		ask("b.example.", 2, tcp)
		ask("c.example.", 1, false)
	}
}

// Our cookie is one for each server and each address of ours, and changes in time.
func TestClientCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newCookieStore(clock.Real())
		at := func(j *cookieStore, to, source string) clientCookie {
			var w expectation
			j.option(nil, &w, asking(netip.MustParseAddrPort(to)), netip.MustParseAddr(source))
			return w.cookie
		}
		one := at(j, "192.0.2.1:53", "0.0.0.0")
		if one != at(j, "192.0.2.1:53", "0.0.0.0") || one == (clientCookie{}) {
			t.Error("not the same for the same server")
		}
		for what, other := range map[string]clientCookie{
			"another server": at(j, "192.0.2.2:53", "0.0.0.0"), "another port": at(j, "192.0.2.1:54", "0.0.0.0"),
			"another source": at(j, "192.0.2.1:53", "192.0.2.9"), "another process": at(newCookieStore(clock.Real()), "192.0.2.1:53", "0.0.0.0"),
		} {
			if other == one {
				t.Errorf("the same for %s", what)
			}
		}
		j.keep(netip.MustParseAddrPort("192.0.2.1:53"), []byte(first))
		time.Sleep(limits.CookieSecretLife)
		if at(j, "192.0.2.1:53", "0.0.0.0") == one || len(j.known) != 0 {
			t.Error("the same for ever")
		}
	})
}

// Server cookies are kept for so many servers.
func TestCookiesKeptAreBounded(t *testing.T) {
	j := newCookieStore(clock.Real())
	var w expectation
	j.option(nil, &w, asking(netip.MustParseAddrPort("192.0.2.1:53")), netip.IPv4Unspecified())
	for i := range limits.CookiesKept + 100 {
		j.keep(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 53), []byte(first))
	}
	if n := len(j.known); n != limits.CookiesKept {
		t.Errorf("%d are kept", n)
	}
}

// Over TCP nothing is asked again for the sake of a cookie: BADCOOKIE is an answer
// there like any other, and the cookie is learnt.
func TestBadCookieOverTCPIsTheAnswer(t *testing.T) {
	store := newCookieStore(clock.Real())
	to := netip.MustParseAddrPort("192.0.2.1:53")
	msg := &wire.Msg{Rcode: wire.RcodeBadCookie, Options: wire.AppendOption(nil, wire.OptionCookie, []byte("12345678"+second))}
	for rule, want := range map[cookieRule]match{cookieTCP: answer, cookieAsked: badCookie, cookieMust: badCookie} {
		w := &expectation{cookies: rule, cookie: clientCookie([]byte("12345678"))}
		if got := store.judge(to, w, msg); got != want {
			t.Errorf("rule %d: match %d, want %d", rule, got, want)
		}
		if s := store.known[to]; string(s.data[:s.n]) != second {
			t.Errorf("rule %d: learnt %q", rule, s.data[:s.n])
		}
	}
}

// A server that does not get on with cookies is shown them again some day, and is one
// of which nothing is known then.
func TestCookiesAreTriedAgain(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	store := newCookieStore(&ck.Clock)
	to, from := netip.MustParseAddrPort("192.0.2.1:53"), netip.IPv4Unspecified()
	rule := func() cookieRule {
		var w expectation
		if option := store.option(nil, &w, asking(to), from); (len(option) == 0) != (w.cookies == cookieNone) {
			t.Errorf("option %x with rule %d", option, w.cookies)
		}
		return w.cookies
	}
	if got := rule(); got != cookieAsked {
		t.Errorf("rule %d for a server of which nothing is known", got)
	}
	store.leaveAlone(to)
	if got := rule(); got != cookieNone {
		t.Errorf("rule %d, want no cookie", got)
	}
	ck.Advance(limits.AbilityLife - 1)
	if got := rule(); got != cookieNone {
		t.Errorf("shortly before its time is over: rule %d", got)
	}
	if ck.Advance(1); rule() != cookieAsked {
		t.Error("it is never shown a cookie again")
	}
	// What was given for a client cookie ends with the secret of that.
	store.keep(to, []byte(first))
	if got := rule(); got != cookieMust {
		t.Errorf("rule %d for a server that gave a cookie", got)
	}
	if ck.Advance(limits.CookieSecretLife); rule() != cookieAsked {
		t.Error("a server cookie outlives the client cookie that it was given for")
	}
}

// Firewalls drop questions with an option that they do not know. What is asked again
// goes without a cookie to a server that never showed one, and after a few times none
// goes there at all for a while; one loss alone changes nothing.
func TestServersThatDropCookiesAreAskedWithout(t *testing.T) {
	asked := make(chan []byte, 4)
	var knows atomic.Bool
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		switch asked <- cookieIn(q); {
		case knows.Load():
			honestCookies(s, from, q)
		case cookieIn(q) == nil:
			s.send(from, reply(q, truth))
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ask := func(again bool) (cookie []byte, err error) {
		x := question(t, s.addr, "a.example.")
		x.Again, x.Timeout = again, limits.UDPMinTimeout
		_, err = e.Exchange(background, x)
		return <-asked, err
	}
	for i := range limits.AbilitySigns {
		if c, err := ask(false); c == nil || err == nil {
			t.Fatalf("round %d: asked first with cookie %x, %v", i, c, err)
		}
		if c, err := ask(true); c != nil || err != nil {
			t.Fatalf("round %d: asked again with cookie %x, %v", i, c, err)
		}
	}
	if c, err := ask(false); c != nil || err != nil {
		t.Errorf("afterwards: asked with cookie %x, %v", c, err)
	}
	// Where a question with a cookie is answered in between, none was dropped for it.
	e.cookies.forget(s.addr)
	_, _ = ask(true)
	knows.Store(true)
	_, _ = ask(false)
	if _, _ = ask(true); e.cookies.known[s.addr].n == 0 {
		t.Error("the server's cookie was not kept")
	}
	if c, err := ask(true); len(c) <= len(clientCookie{}) || err != nil {
		t.Errorf("a server that knows cookies is asked again with %x, %v", c, err)
	}
}

// A server that answers questions with an error, and those without a cookie well, was taken
// for one behind a firewall that drops cookies: it got none after a few such questions, though
// it had left none unanswered.
func TestAnErrorIsNoDroppedCookie(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for i := range limits.AbilitySigns + 1 {
		x := question(t, s.addr, itoa(i)+".example.")
		x.NoCookie, x.Again = true, i%2 == 1 // which is said, with the other, where it was lost in between
		r, err := e.Exchange(background, x)
		address(t, r, err)
	}
	if known, ok := e.cookies.known[s.addr]; ok {
		t.Errorf("learnt %+v", known)
	}
}

// A server that sends our cookie back, and gives none of its own, kept the doubts about what
// drops cookies on the way there: it lost questions now and then, and after the last of a few
// it got no cookies.
func TestOurCookieEndsTheDoubts(t *testing.T) {
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		s.send(from, withCookie(reply(q, truth), 0, echo(q, "")))
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for i := range 2 * limits.AbilitySigns {
		x := question(t, s.addr, itoa(i)+".example.")
		x.Again = i%2 == 0
		r, err := e.Exchange(background, x)
		address(t, r, err)
		if known := e.cookies.known[s.addr]; x.Again != (known.doubts == 1) || known.doubts > 1 {
			t.Fatalf("question %d: learnt %+v", i, known)
		}
	}
}

// A question without EDNS, and one to a server with a peer, show no cookie over whatever it
// goes, and so say nothing about what the server knows of cookies.
func TestAQuestionWithoutACookieForgetsNone(t *testing.T) {
	s := (&testServer{onUDP: honestCookies, onTCP: honestCookiesTCP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	dialAs(e, zonecut.DoT)
	ask := func(text string, change func(*resolve.Exchange)) {
		x := question(t, s.addr, text)
		change(&x)
		r, err := e.Exchange(background, x)
		address(t, r, err)
	}
	ask("a.example.", func(*resolve.Exchange) {})
	ask("b.example.", func(x *resolve.Exchange) { x.NoEDNS = true })
	ask("c.example.", func(x *resolve.Exchange) { x.NoEDNS, x.TCP = true, true })
	ask("d.example.", func(x *resolve.Exchange) { x.Peer = peer(t, zonecut.DoT, 1) })
	var w expectation
	if e.cookies.option(nil, &w, asking(s.addr), netip.IPv4Unspecified()); w.cookies != cookieMust {
		t.Errorf("the server is taken for one of rule %d", w.cookies)
	}
}

// A cookie that a server gave in the place of its last one cost another server its own, where
// as many were kept as may be.
func TestANewCookieTakesNoOthersPlace(t *testing.T) {
	j := newCookieStore(stopped())
	to := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 53)
	}
	j.look(to(0)) // draws the secret
	for i := range limits.CookiesKept {
		j.keep(to(i), []byte(first))
	}
	for _, server := range []string{first, second} {
		j.keep(to(7), []byte(server))
		if s := j.known[to(7)]; len(j.known) != limits.CookiesKept || string(s.data[:s.n]) != server {
			t.Errorf("%d are kept, and of that server %q", len(j.known), s.data[:s.n])
		}
	}
}
