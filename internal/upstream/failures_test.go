package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/proctest"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Whose fault it is that there is no TLS: a server that was reached and is of no use is told
// from a stranger, from silence, from one that is out of reach and from ourselves.
func TestWhoseFaultAHandshakesFailureIs(t *testing.T) {
	stranger := &resolve.Unauthenticated{Why: "it has no certificate"}
	for _, c := range []struct {
		err           error
		want          error
		unusable, own bool // of no use; returned as it is
		counted       Stats
	}{
		{fmt.Errorf("tls: %w", stranger), resolve.ErrUnreachable, false, true, Stats{NoHandshake: 1}},
		{fmt.Errorf("dialling: %w", context.Canceled), context.Canceled, false, true, Stats{}},
		{context.DeadlineExceeded, resolve.ErrTimeout, false, false, Stats{NoHandshake: 1}},
		{os.ErrDeadlineExceeded, resolve.ErrTimeout, false, false, Stats{NoHandshake: 1}},
		{syscall.ECONNREFUSED, resolve.ErrUnreachable, false, false, Stats{NoHandshake: 1}},
		{syscall.EHOSTUNREACH, resolve.ErrUnreachable, false, false, Stats{NoHandshake: 1}},
		{syscall.ENETUNREACH, resolve.ErrUnreachable, false, false, Stats{NoHandshake: 1}},
		{io.EOF, resolve.ErrUnreachable, true, false, Stats{NoHandshake: 1}},
		{syscall.ECONNRESET, resolve.ErrUnreachable, true, false, Stats{NoHandshake: 1}},
	} {
		got := handshakeError(c.err, "")
		wantErr(t, got, c.want)
		for _, kind := range []error{resolve.ErrTimeout, resolve.ErrUnreachable, resolve.ErrLocal} {
			if kind != c.want {
				notErr(t, got, kind)
			}
		}
		if _, unusable := errors.AsType[*resolve.Unusable](got); unusable != c.unusable || (got == c.err) != c.own {
			t.Errorf("%v is %v; of no use: %v", c.err, got, unusable)
		}
		var said []string
		e := &Exchanger{clock: stopped(), warn: func(line string) { said = append(said, line) }}
		for range 2 {
			e.handshook(zonecut.Endpoint{}, false, c.err)
		}
		c.counted.NoHandshake *= 2
		if _, strange := errors.AsType[*resolve.Unauthenticated](c.err); e.Stats() != c.counted || len(said) == 1 != strange || len(said) > 1 {
			t.Errorf("%v: the log says %q; counted is %+v", c.err, said, e.Stats())
		}
	}
	e := &Exchanger{clock: stopped()}
	e.handshook(zonecut.Endpoint{}, false, nil)
	e.handshook(zonecut.Endpoint{}, true, nil)
	if got, want := e.Stats(), (Stats{Handshakes: 1, Resumed: 1}); got != want {
		t.Errorf("counted is %+v", got)
	}
	for want, reason := range map[string]string{"was reached, but not by TLS": "", "was reached, but not by TLS (it speaks SMTP)": "it speaks SMTP"} {
		if got := noTLS(errors.New("a mess"), reason); got != want {
			t.Errorf("it %s", got)
		}
	}
}

// The log names a stranger again after a while, and another one at once.
func TestAStrangerIsNamedNowAndThen(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	said := 0
	e := &Exchanger{clock: &ck.Clock, warn: func(string) { said++ }}
	name := func(port uint16, want int) {
		t.Helper()
		to := zonecut.Endpoint{Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)}
		if e.handshook(to, false, &resolve.Unauthenticated{Server: to}); said != want {
			t.Errorf("said %d times, want %d", said, want)
		}
	}
	name(853, 1)
	name(853, 1)
	name(443, 2)
	ck.Advance(limits.StrangerSaid - 1)
	name(853, 2)
	ck.Advance(1)
	name(853, 3)
}

// Where no server speaks TLS, nor TCP, the failure is that, by each protocol over TCP.
func TestNobodyListens(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for _, protocol := range []zonecut.Protocol{zonecut.DoT, zonecut.DoH} {
		x := question(t, s.addr, "www.example.")
		x.Peer = peer(t, protocol, 1)
		r, err := e.Exchange(background, x)
		wantErr(t, err, syscall.ECONNREFUSED)
		wantErr(t, err, resolve.ErrUnreachable)
		if _, unusable := errors.AsType[*resolve.Unusable](err); unusable || r.TCP {
			t.Errorf("%v: %v, TCP %v", protocol, err, r.TCP)
		}
	}
}

// What ends a stream by HTTPS is the failure of its question, in the words of RFC 9113;
// what ends the time of a question, or the connection, is not its server's.
func TestWhyThereIsNoResponse(t *testing.T) {
	for _, c := range []struct {
		ctx       context.Context
		err, want error
		did       string
	}{
		{ended(), streamError{Code: 2}, errGivenUp, ""},
		{background, io.ErrUnexpectedEOF, errConnEnded, ""},
		{background, streamError{Code: refusedStream}, errNotTaken, "did not take the question"},
		{background, streamError{Code: 0}, resolve.ErrErring, "ended the stream of the question: NO_ERROR"},
		{background, streamError{Code: 2}, resolve.ErrErring, "ended the stream of the question: INTERNAL_ERROR"},
		{background, streamError{Code: 13}, resolve.ErrErring, "ended the stream of the question: HTTP_1_1_REQUIRED"},
		{background, fmt.Errorf("so: %w", streamError{Code: 14}), resolve.ErrErring, "ended the stream of the question: error 14"},
	} {
		got := noResponse(c.ctx, c.err)
		wantErr(t, got, c.want)
		if e, ok := errors.AsType[*resolve.Erring](got); ok != (c.did != "") || ok && e.Did != c.did {
			t.Errorf("%v is %v", c.err, got)
		}
	}
	if got := (streamError{Code: 7}).Error(); got != "REFUSED_STREAM" {
		t.Errorf("it is called %s", got)
	}
}

// A response that ends in the middle is a failure of its question, and not the end of its
// connection.
func TestAResponseThatEndsInTheMiddle(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	s := framedHTTPS(t, cert, nil, func(c *frames, stream uint32, q []byte) {
		if label(q) == 'g' {
			c.answer(stream, reply(q, truth))
			return
		}
		c.begin(stream)
		c.put(frameData, 0, stream, reply(q, truth)[:9])
		c.put(frameReset, 0, stream, numbers(2))
	})
	e := newExchanger(t, Config{})
	to := zonecut.Endpoint{Addr: s.addr, Peer: httpsPeer(t, cert)}
	x := question(t, to.Addr, "www.example.")
	x.Peer = to.Peer
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrErring)
	asked(t, e, to, "good.example.")
	if s.tcpConns.Load() != 1 || x.Budget.Sent() != 1 {
		t.Errorf("%d connections, %d questions sent", s.tcpConns.Load(), x.Budget.Sent())
	}
}

// A question that cannot be sent on a link with streams of its own says why: because its
// time is over, because the server allows no stream, or because the link has ended. Only
// the second is a reason to ask the next one elsewhere.
func TestWhyAQuestionCannotBeSent(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	e := newExchanger(t, Config{})
	quic := limitedQUIC(t, cert, -1, truthQUIC)
	https := framedHTTPS(t, cert, mostStreams(1), func(c *frames, stream uint32, q []byte) {
		if label(q) == 'o' {
			c.answer(stream, reply(q, truth))
		}
	})
	for protocol, c := range map[zonecut.Protocol]struct {
		addr netip.AddrPort
		took func() bool // as many questions as it may
	}{
		zonecut.DoQ: {quic.addr, func() bool { return true }}, zonecut.DoH: {https.addr, func() bool { return https.tcpQueries.Load() == 2 }},
	} {
		to := zonecut.Endpoint{Addr: c.addr, Peer: mustPeer(t, zonecut.PeerConfig{Protocol: protocol, Path: map[zonecut.Protocol]string{zonecut.DoH: "/q"}[protocol], Pins: []zonecut.Pin{cert.Hash}})}
		l, err := e.pool.dialers[protocol](background, to, netip.MustParseAddr("127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		q, _ := aQuestion()
		msg := append(make([]byte, 2), q...)
		if protocol == zonecut.DoH {
			open := wire.AppendQuery(make([]byte, 2), 7, 0, []byte("\x04open\x00"), wire.TypeA, wire.ClassIN, 1232, true, nil)
			if err := l.write(background, open); err != nil {
				t.Fatal(err)
			}
			if _, err := l.read(func() bool { return true }); err != nil { // behind it how many streams there may be is known
				t.Fatal(err)
			}
			if err := l.write(background, msg); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a question that takes the only stream", c.took)
		}
		soon, end := context.WithTimeout(background, time.Millisecond)
		if err := l.write(soon, msg); err != context.DeadlineExceeded || !l.open() {
			t.Errorf("%v: in vain: %v, open %v", protocol, err, l.open())
		}
		end()
		begun := time.Now()
		if err := l.write(background, msg); err != errNoStream || l.open() || time.Since(begun) < limits.UpstreamStreamWait {
			t.Errorf("%v: without a stream: %v after %v, open %v", protocol, err, time.Since(begun), l.open())
		}
		if string(msg[2:]) != string(q) {
			t.Errorf("%v: the question is %x by now", protocol, msg)
		}
		_ = l.close()
		if _, err := l.read(func() bool { return true }); err == nil {
			t.Errorf("%v: a closed link is read from", protocol)
		}
		if err := l.write(background, msg); err == errNoStream || protocol == zonecut.DoQ && err == nil {
			t.Errorf("%v: when it is closed: %v", protocol, err)
		}
	}
}

// That a question is asked once more over a connection is told with the reason; so is why
// there is no answer, unless who asked has left; and which connection it takes.
func TestWhatIsToldOfConnections(t *testing.T) {
	asking := make(chan struct{}, 1)
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		first := s.tcpConns.Load() == 1 // they come one after the other
		q := s.readFrame(c)
		switch {
		case first, label(q) == 'n':
			return
		case label(q) == 's':
			asking <- struct{}{}
			s.readFrame(c)
			return
		}
		writeFrame(c, reply(q, truth))
		if q := s.readFrame(c); q != nil {
			writeFrame(c, reply(q, truth))
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	told := func(ctx context.Context, text string) (steps []resolve.Step, err error) {
		x := tcpQuestion(t, s.addr, text)
		x.Tell = func(step resolve.Step) { steps = append(steps, step) }
		_, err = e.Exchange(ctx, x)
		return
	}
	opened := func(s resolve.Step, reused bool) bool {
		a, ok := s.(resolve.AskedConnected)
		return ok && a.Reused == reused && a.By == zonecut.Do53 && (a.Took > 0 || reused)
	}
	again := resolve.ConnectedAgain{By: zonecut.Do53, Why: resolve.ConnectionOver}
	if got, err := told(background, "www.example."); err != nil || len(got) != 3 || !opened(got[0], false) || got[1] != again || !opened(got[2], false) {
		t.Errorf("asked twice: %+v, %v", got, err)
	}
	if got, err := told(background, "more.example."); err != nil || len(got) != 1 || !opened(got[0], true) {
		t.Errorf("asked again: %+v, %v", got, err)
	}
	eventually(t, "the end of that connection", func() bool {
		e.pool.mu.Lock()
		defer e.pool.mu.Unlock()
		return len(e.pool.conns) == 0
	})
	got, err := told(background, "never.example.")
	wantErr(t, err, errConnEnded)
	if len(got) != 4 || got[1] != again {
		t.Fatalf("in vain: %+v", got)
	}
	if f, ok := got[3].(resolve.ConnectionFailed); !ok || f.After <= 0 || f.After > time.Minute || f.Err != errConnEnded || f.By != zonecut.Do53 {
		t.Errorf("in vain: %+v", got[3])
	}
	ctx, leave := context.WithCancel(background)
	go func() { <-asking; leave() }()
	if got, err := told(ctx, "silent.example."); !errors.Is(err, context.Canceled) || len(got) != 1 {
		t.Errorf("who has left is told %+v, %v", got, err)
	}
}

// Who joins an equal question is told so, and that it need not leave; and lets others
// receive meanwhile.
func TestWhoJoinsIsTold(t *testing.T) {
	release := make(chan struct{})
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		<-release
		truthUDP(s, from, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ask := func(sent func()) (*reception, *[]resolve.Step, chan error) {
		x, r, told, done := question(t, s.addr, "www.example."), &reception{}, &[]resolve.Step{}, make(chan error, 1)
		x.Sent, x.Reception, x.Tell = sent, r, func(s resolve.Step) { *told = append(*told, s) }
		go func() {
			_, err := e.Exchange(background, x)
			done <- err
		}()
		return r, told, done
	}
	sent := make(chan struct{}, 2)
	_, _, one := ask(func() { sent <- struct{}{} })
	<-sent
	r, told, two := ask(func() { sent <- struct{}{} })
	<-sent // though the answer has not come
	close(release)
	if a, b := <-one, <-two; a != nil || b != nil {
		t.Errorf("%v, %v", a, b)
	}
	if len(*told) != 1 || (*told)[0] != (resolve.ExchangeJoined{}) || !r.passed {
		t.Errorf("told %+v; passed %v", *told, r.passed)
	}
}

// The places of a server are shared by the labels of a zone's name, from the top on.
func TestBranchesOfAZone(t *testing.T) {
	for zone, want := range map[string]string{".": "", "example.": "example", "b.a.example.": "example a b", strings.Repeat("x.", 20): strings.Repeat("x ", limits.ZoneBranches)} {
		got := ""
		for label := range branches(name(t, zone)) {
			got += label + " "
		}
		if strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: %q", zone, got)
		}
	}
	for range branches(name(t, "b.a.example.")) {
		break
	}
}

// A message under the ID of a question that has not been sent answers nobody, whoever has
// guessed it, and takes nothing from the question.
func TestNothingAnswersAQuestionBeforeItIsSent(t *testing.T) {
	q, want := aQuestion()
	w := &waiter{want: expectation{id: want.id, anyCase: true, size: 0xffff}, got: make(chan delivery, 1)}
	c := &connection{pool: newPool(&Exchanger{}), waiting: map[uint16]*waiter{want.id: w}}
	if !c.deliver(reply(q, evil)) || c.strays != 1 || len(w.got) != 0 {
		t.Fatalf("%d strays, %d answers", c.strays, len(w.got))
	}
	w.want.question = want.question
	if !c.deliver(reply(q, truth)) || c.strays != 0 || len(w.got) != 1 || len(c.waiting) != 0 {
		t.Errorf("%d strays, %d answers, %d wait", c.strays, len(w.got), len(c.waiting))
	}
	if got := c.pool.e.Stats().Ignored; got != 1 {
		t.Errorf("%d ignored", got)
	}
}

// A server that answers no question is left after some, and one whose link takes no more
// when nobody waits there.
func TestWhenAServerThatRefusesIsLeft(t *testing.T) {
	refused := erring("refuses")
	began := func(waiting int) *connection {
		c := &connection{pool: newPool(&Exchanger{}), dialed: make(chan struct{}), waiting: map[uint16]*waiter{}, alone: true}
		for i := range waiting {
			c.waiting[uint16(i)] = &waiter{got: make(chan delivery, 1)}
		}
		return c
	}
	c := began(2)
	w := c.waiting[1]
	if !c.refuse(&unanswerable{id: 1, why: refused}) || (<-w.got).err != refused || c.alone || c.retired || len(c.waiting) != 1 {
		t.Errorf("one is refused: %+v", c)
	}
	if c.refuse(&unanswerable{id: 0, why: refused, last: true}) || !c.retired || len(c.waiting) != 0 {
		t.Errorf("the last one is refused: %+v", c)
	}
	c = began(2)
	if !c.refuse(&unanswerable{id: 0, why: refused, last: true}) || !c.retired {
		t.Errorf("the link takes no more, and another one waits: %+v", c)
	}
	c = began(1)
	for i := range limits.UpstreamTCPStrays {
		if goOn := c.refuse(&unanswerable{id: 7, why: refused}); goOn != (i < limits.UpstreamTCPStrays-1) || !c.alone {
			t.Errorf("refused %d times: go on %v", i+1, goOn)
		}
	}
}

// With answers to questions that were asked without a cookie, and none with one, it is
// believed that a server drops them; an answer to one with a cookie takes that back.
func TestAnAnswerToACookieEndsDoubts(t *testing.T) {
	to := netip.MustParseAddrPort("192.0.2.1:53")
	for what, rcode := range map[string]int{"an answer": 0, "NXDOMAIN": wire.RcodeNXDomain} {
		j := newCookieStore(stopped())
		j.doubt(to)
		var w expectation
		if j.option(nil, &w, asking(to), netip.IPv4Unspecified()); w.cookies != cookieAsked || !w.doubted {
			t.Fatalf("%s: %+v", what, w)
		}
		if v := j.judge(to, &w, &wire.Msg{Rcode: rcode}); v != answer || len(j.known) != 0 {
			t.Errorf("%s: match %v, known %v", what, v, j.known)
		}
	}
	// What a server gave is not doubted because a question without a cookie was answered.
	j := newCookieStore(stopped())
	j.look(to) // draws the secret
	j.keep(to, []byte(first))
	if j.doubt(to); j.known[to].n == 0 {
		t.Error("the server's cookie is forgotten")
	}
}

// Why no authority vouches for a certificate is said in words of ours.
func TestWhyACertificateIsNotTrusted(t *testing.T) {
	now := time.Now()
	own := issued(t, "own", nil)
	other := issued(t, "other", own)
	signed := other.cert
	for want, c := range map[string]struct {
		err  error
		cert *x509.Certificate
	}{
		"this machine has no certificates of authorities (package ca-certificates); ca_file names others": {x509.SystemRootsError{}, signed},
		"its certificate is signed by itself, and by no authority that is trusted":                        {x509.UnknownAuthorityError{}, own.cert},
		"its certificate is signed by no authority that is trusted":                                       {x509.UnknownAuthorityError{}, signed},
		"its certificate is of no use: too many signatures":                                               {errors.New("x509: too many signatures"), signed},
	} {
		if got := untrusted(c.err, c.cert, now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	tooMany := untrusted(x509.CertificateInvalidError{Cert: signed, Reason: x509.TooManyIntermediates}, signed, now)
	if strings.Contains(tooMany, "ended") || !strings.HasPrefix(tooMany, "its certificate is of no use: ") {
		t.Errorf("of a long chain: %q", tooMany)
	}
}

// An authority vouches for a server by way of others, whose certificates the server shows.
func TestAChainOfAuthorities(t *testing.T) {
	root := issued(t, "root", nil)
	middle := issued(t, "middle", root)
	leaf := issued(t, "dns.test", middle)
	a := &authenticator{authorities: func([]string) *x509.CertPool {
		pool := x509.NewCertPool()
		pool.AddCert(root.cert)
		return pool
	}}
	peer := &zonecut.PeerConfig{Names: []string{"dns.test"}, Authorities: []string{"ca.pem"}}
	if why := a.proof(peer, []*x509.Certificate{leaf.cert, middle.cert}, time.Now()); why != "" {
		t.Error(why)
	}
	if why := a.proof(peer, []*x509.Certificate{leaf.cert}, time.Now()); why == "" {
		t.Error("it is trusted without the certificate between")
	}
	if why := a.proof(peer, nil, time.Now()); why != "it has no certificate" {
		t.Errorf("without any: %q", why)
	}
}

type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issued is a certificate that may sign others, by another or by itself.
func issued(t *testing.T, name string, by *issuer) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := &issuer{&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: nextDay(),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, key}
	if by == nil {
		by = own
	}
	der, err := x509.CreateCertificate(rand.Reader, own.cert, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if own.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return own
}
