package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/doh"
	"kresd/internal/limits"
	"kresd/internal/proctest"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// httpsServer serves with a certificate on a port of 127.0.0.1 until the test ends.
func httpsServer(t testing.TB, cert *proctest.Certificate, protocols []string, serve http.HandlerFunc) (netip.AddrPort, *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := new(atomic.Int32)
	s := &http.Server{
		Handler: serve, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert.TLS}, NextProtos: protocols},
		ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				conns.Add(1)
			}
		},
	}
	s.Protocols.SetHTTP1(protocols[0] != transport.ALPNHTTP2)
	s.Protocols.SetHTTP2(protocols[0] == transport.ALPNHTTP2)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { s.Close(); <-done })
	return listener.Addr().(*net.TCPAddr).AddrPort(), conns
}

func answerHTTPS(w http.ResponseWriter, r *http.Request) {
	q, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", doh.MediaType)
	_, _ = w.Write(reply(q, truth))
}

// A question by HTTPS is a POST with the ID 0 to the path of the peer, and many share a
// connection.
func TestQuestionsByHTTPS(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	const questions = 100 // more than a connection has at once
	at, conns := httpsServer(t, cert, []string{transport.ALPNHTTP2}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/a path" || r.Header.Get("Content-Type") != doh.MediaType || r.Header.Get("Accept") != doh.MediaType ||
			r.Header.Get("Cache-Control") != "no-cache" || len(r.Header) != 4 || !strings.HasPrefix(r.Host, "dns.test:") || r.ContentLength != 128 || r.ProtoMajor != 2 {
			t.Errorf("asked is %s %s %s, %v, %d octets", r.Method, r.Host, r.URL, r.Header, r.ContentLength)
		}
		q, _ := io.ReadAll(r.Body)
		if binary.BigEndian.Uint16(q) != 0 {
			t.Error("the ID is not 0")
		}
		w.Header().Set("Content-Type", doh.MediaType)
		_, _ = w.Write(reply(q, "\xc0\x00\x02"+string(q[wire.HeaderLen+1])))
	})
	e := newExchanger(t, Config{})
	peer := mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoH, Host: "dns.test", Path: "/a%20path", Pins: []zonecut.Pin{cert.Hash}})
	var wg sync.WaitGroup
	for i := range questions {
		wg.Go(func() {
			x := question(t, at, string(rune('a'+i%26))+itoa(i)+".example.")
			x.Peer = peer
			r, err := e.Exchange(background, x)
			if err != nil || r.Msg.Answer[0].RData[3] != byte('a'+i%26) || x.Budget.Sent() != 1 {
				t.Errorf("question %d: %+v, %v", i, r, err)
			}
		})
	}
	wg.Wait()
	if st := e.Stats(); st.HTTPS != questions || st.UDP+st.TCP+st.TLS != 0 || conns.Load() > 2 {
		t.Errorf("%d connections, counted is %+v", conns.Load(), st)
	}
}

// What a server answers instead of a message is the failure of that question, with its
// reason, and not of the connection.
func TestFailuresByHTTPS(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	plays := map[string]struct {
		play http.HandlerFunc
		want string
	}{
		"forbidden": {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) }, "HTTP status 403"},
		"broken":    {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "HTTP status 502"},
		"moved":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, "HTTP status 302"},
		"page":      {func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>") }, `HTTP content of type "text/html`},
		"nothing":   {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Type", doh.MediaType) }, "no answer"},
		"id": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", doh.MediaType)
			q, _ := io.ReadAll(r.Body)
			q[0] = 1
			_, _ = w.Write(reply(q, truth))
		}, "no answer"},
		"long": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", doh.MediaType)
			_, _ = w.Write(make([]byte, limits.MaxBufsize+1))
		}, "no answer"},
		"otherinquiry": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", doh.MediaType)
			q, _ := io.ReadAll(r.Body)
			q[wire.HeaderLen+1] ^= 1
			_, _ = w.Write(reply(q, truth))
		}, "another question's answer"},
	}
	at, conns := httpsServer(t, cert, []string{transport.ALPNHTTP2}, func(w http.ResponseWriter, r *http.Request) {
		q, _ := io.ReadAll(r.Body)
		label := q[wire.HeaderLen+1 : wire.HeaderLen+1+int(q[wire.HeaderLen])]
		r.Body = io.NopCloser(strings.NewReader(string(q)))
		if c, ok := plays[string(label)]; ok {
			c.play(w, r)
			return
		}
		answerHTTPS(w, r)
	})
	e := newExchanger(t, Config{})
	peer := mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoH, Path: "/q", Pins: []zonecut.Pin{cert.Hash}})
	for what, c := range plays {
		x := question(t, at, what+".example.")
		x.Peer = peer
		if _, err := e.Exchange(background, x); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		} else if !errors.Is(err, resolve.ErrErring) && what != "otherinquiry" {
			t.Errorf("%s: %v is not the server's failure", what, err)
		}
	}
	x := question(t, at, "good.example.")
	x.Peer = peer
	r, err := e.Exchange(background, x)
	if address(t, r, err) != truth || conns.Load() != 1 {
		t.Errorf("%d connections", conns.Load())
	}
}

// A connection that ends takes its questions to another one; a server that speaks no
// HTTP/2, or is a stranger, is not asked at all.
func TestConnectionsByHTTPS(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	var asked atomic.Int32
	at, conns := httpsServer(t, cert, []string{transport.ALPNHTTP2}, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%2 == 1 { // every other answer ends its connection
			w.Header().Set("Connection", "close")
		}
		answerHTTPS(w, r)
	})
	e := newExchanger(t, Config{})
	peer := mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoH, Path: "/q", Pins: []zonecut.Pin{cert.Hash}})
	for i := range 6 {
		x := question(t, at, itoa(i)+".example.")
		x.Peer = peer
		r, err := e.Exchange(background, x)
		address(t, r, err)
	}
	if n := conns.Load(); n < 3 {
		t.Errorf("%d connections", n)
	}
	if st := e.Stats(); st.Resumed == 0 || st.Handshakes != 1 {
		t.Errorf("counted is %+v", st)
	}

	aborted, _ := httpsServer(t, cert, []string{transport.ALPNHTTP2}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	x := question(t, aborted, "www.example.")
	x.Peer = peer
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrErring)

	old, _ := httpsServer(t, cert, []string{"http/1.1"}, answerHTTPS)
	x = question(t, old, "www.example.")
	x.Peer = peer
	_, err = e.Exchange(background, x)
	wantErr(t, err, resolve.ErrUnreachable)

	x = question(t, at, "www.example.")
	x.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoH, Path: "/q", Pins: []zonecut.Pin{{1}}})
	before := asked.Load()
	_, err = e.Exchange(background, x)
	if _, ok := errors.AsType[*resolve.Unauthenticated](err); !ok || asked.Load() != before {
		t.Errorf("a stranger: %v, asked %d times", err, asked.Load()-before)
	}
}

// A server that never answers by HTTPS costs a question its time and no goroutine for
// ever.
func TestSilenceByHTTPS(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	at, _ := httpsServer(t, cert, []string{transport.ALPNHTTP2}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	e := newExchanger(t, Config{})
	x := question(t, at, "www.example.")
	x.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoH, Path: "/q", Pins: []zonecut.Pin{cert.Hash}})
	ctx, end := context.WithTimeout(background, 10*limits.UDPMinTimeout)
	defer end()
	_, err := e.Exchange(ctx, x)
	wantErr(t, err, context.DeadlineExceeded)
}

// The address of questions has the host that is configured, and a port where it is not
// the usual one.
func TestWhereQuestionsGoByHTTPS(t *testing.T) {
	pin := []zonecut.Pin{{1}}
	for want, c := range map[string]struct {
		addr string
		peer zonecut.PeerConfig
	}{
		"https://dns.test/dns-query":      {"192.0.2.1:443", zonecut.PeerConfig{Host: "dns.test", Path: "/dns-query", Pins: pin}},
		"https://dns.test:8443/q":         {"192.0.2.1:8443", zonecut.PeerConfig{Names: []string{"dns.test"}, Path: "/q"}},
		"https://192.0.2.1/q":             {"192.0.2.1:443", zonecut.PeerConfig{Pins: pin, Path: "/q"}},
		"https://[2001:db8::1]/q":         {"[2001:db8::1]:443", zonecut.PeerConfig{Host: "2001:db8::1", Pins: pin, Path: "/q"}},
		"https://[fe80::1]:4443/%2Fq%20r": {"[fe80::1%lo]:4443", zonecut.PeerConfig{Insecure: true, Path: "/%2Fq%20r"}},
	} {
		c.peer.Protocol = zonecut.DoH
		u := questionURL(zonecut.Endpoint{Addr: netip.MustParseAddrPort(c.addr), Peer: mustPeer(t, c.peer)})
		if u.String() != want {
			t.Errorf("got %s, want %s", &u, want)
		}
	}
}

// FuzzHTTPSAnswer: whatever a server's response has, at most one message comes of it, no
// longer than one may be, and its ID is 0.
func FuzzHTTPSAnswer(f *testing.F) {
	q, _ := aQuestion()
	good := reply(q, truth)
	good[0], good[1] = 0, 0
	f.Add(200, doh.MediaType, good)
	f.Add(200, "text/html", good)
	f.Add(200, doh.MediaType+"; charset=utf-8", good)
	f.Add(404, doh.MediaType, good)
	f.Add(200, doh.MediaType, []byte{})
	f.Add(200, doh.MediaType, []byte{0, 1})
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		r := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body))}
		pkt, err := messageIn(r)
		if (pkt != nil) != (err == nil) {
			t.Fatalf("%d octets and %v", len(pkt), err)
		}
		if plain, _, _ := mime.ParseMediaType(kind); err == nil && (status != http.StatusOK || plain != doh.MediaType || len(pkt) > limits.MaxBufsize || pkt[0]|pkt[1] != 0 || !bytes.Equal(pkt, body)) {
			t.Errorf("of status %d, type %q and %d octets came %x", status, kind, len(body), pkt)
		}
		if err != nil && !errors.Is(err, resolve.ErrErring) {
			t.Errorf("%v is not the server's failure", err)
		}
	})
}

// A server that proves who it is, and has not agreed on HTTP/2, is not asked by it.
func TestAServerWithoutHTTP2(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert.TLS}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil { // its handshake, and then its end
				t.Error("the client said something")
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	x := question(t, listener.Addr().(*net.TCPAddr).AddrPort(), "www.example.")
	x.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoH, Host: "dns.test", Path: "/", Pins: []zonecut.Pin{cert.Hash}})
	x.Timeout = 10 * time.Second
	e := newExchanger(t, Config{})
	_, err = e.Exchange(background, x)
	if unusable, ok := errors.AsType[*resolve.Unusable](err); !ok || unusable.Did != "speaks no HTTP/2" {
		t.Errorf("it ends with %v", err)
	}
}
