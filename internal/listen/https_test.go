package listen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/doh"
	"kresd/internal/h2"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A web is a server that listens by HTTP and HTTPS, and clients of it.
type web struct {
	*Server
	t            *testing.T
	clear, tls   netip.AddrPort
	clientConfig *tls.Config
}

func newWeb(t *testing.T, h Handler) *web {
	t.Helper()
	server, client := encrypted(t)
	w := &web{Server: serve(t, h), t: t, clientConfig: client}
	w.tlsConfig = offering(server)
	for _, k := range []transport.Kind{transport.HTTP, transport.HTTPS} {
		if err := w.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(k)); err != nil {
			t.Fatal(err)
		}
	}
	w.clear, w.tls = w.Endpoints()[0].Addr, w.Endpoints()[1].Addr
	return w
}

// ways are how a client may come: the version of HTTP and whether it is encrypted.
var ways = []struct {
	name      string
	two, safe bool
}{{"HTTP/1.1", false, false}, {"h2c", true, false}, {"HTTP/1.1 and TLS", false, true}, {"h2", true, true}}

// client is one that keeps one connection.
func (w *web) client(two, safe bool) (c *http.Client, base string) {
	spoken := &http.Protocols{}
	spoken.SetHTTP1(!two)
	spoken.SetHTTP2(two)
	spoken.SetUnencryptedHTTP2(two && !safe)
	tr := &http.Transport{Protocols: spoken, TLSClientConfig: w.clientConfig.Clone(), DisableCompression: true}
	w.t.Cleanup(tr.CloseIdleConnections)
	if safe {
		return &http.Client{Transport: tr, Timeout: 20 * time.Second}, "https://" + w.tls.String()
	}
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}, "http://" + w.clear.String()
}

func getURL(base string, msg []byte) string {
	return base + "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(msg)
}

// fetch reads a response.
func fetch(resp *http.Response, err error) (int, string, http.Header) {
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestQuestionsByHTTP(t *testing.T) {
	h := &kindEcho{echo: newEcho()}
	w := newWeb(t, h)
	for _, way := range ways {
		c, base := w.client(way.two, way.safe)
		for _, how := range "fdnP" { // on the thread, by the driver, and two of its failures
			msg := ask(7, byte(how), []byte("and more")...)
			for _, method := range []string{"GET", "HEAD", "POST"} {
				var status int
				var body string
				var head http.Header
				switch method {
				case "GET":
					status, body, head = fetch(c.Get(getURL(base, msg)))
				case "HEAD": // the same, and its length, without the answer (RFC 9110, section 9.3.2)
					status, body, head = fetch(c.Head(getURL(base, msg)))
					n, _ := strconv.Atoi(head.Get("Content-Length"))
					body += string(make([]byte, n))
				case "POST":
					status, body, head = fetch(c.Post(base+"/doh", doh.MediaType, bytes.NewReader(msg)))
				}
				want := len(msg) + 1
				if how == 'n' || how == 'P' {
					want = headerLen
				}
				if status != 200 || len(body) != want || head.Get("Content-Type") != doh.MediaType || head.Get("Cache-Control") != "max-age=0" {
					t.Errorf("%s, %s %c: status %d, %d octets, want %d; %v", way.name, method, how, status, len(body), want, head)
				}
			}
		}
		if want := map[bool]transport.Kind{true: transport.HTTPS, false: transport.HTTP}[way.safe]; h.kind() != want {
			t.Errorf("%s: the handler was told %v, want %v", way.name, h.kind(), want)
		}
		for _, how := range "xp" { // no answer on purpose, and a session that panics
			status, body, _ := fetch(c.Get(getURL(base, ask(1, byte(how)))))
			if how == 'x' && status != 0 || how == 'p' && (status != 200 || len(body) != headerLen) {
				t.Errorf("%s, %c: status %d, %q", way.name, how, status, body)
			}
		}
	}
	if st := w.Stats(); st.HTTPRequests == 0 || st.HTTPBad != 0 || st.TCP != st.HTTPRequests || st.Handshakes < 2 {
		t.Errorf("stats %+v", st)
	}
}

// What is no question gets a status that says why.
func TestWhatIsNoQuestionByHTTP(t *testing.T) {
	w := newWeb(t, newEcho())
	response := ask(1, 'f')
	response[2] |= 0x80
	long := bytes.Repeat([]byte{'f'}, limits.HTTPBody+1)
	for _, way := range ways {
		c, base := w.client(way.two, way.safe)
		do := func(method, path, kind string, body io.Reader) (int, string, http.Header) {
			req, err := http.NewRequest(method, base+path, body)
			if err != nil {
				t.Fatal(err)
			}
			if kind != "" {
				req.Header.Set("Content-Type", kind)
			}
			return fetch(c.Do(req))
		}
		text := func(msg []byte) string { return base64.RawURLEncoding.EncodeToString(msg) }
		for i, x := range []struct {
			method, path, kind string
			body               io.Reader
			want               int
		}{
			{"GET", "/?dns=" + text(ask(1, 'f')), "", nil, 404},
			{"GET", "/dns-query/?dns=" + text(ask(1, 'f')), "", nil, 404},
			{"GET", "/dns-query", "", nil, 400},
			{"GET", "/dns-query?dns=", "", nil, 400},
			{"GET", "/dns-query?DNS=" + text(ask(1, 'f')), "", nil, 400},
			{"GET", "/dns-query?dns=%%%", "", nil, 400},
			{"GET", "/dns-query?dns=" + text(ask(1, 'f')) + "=", "", nil, 400},
			{"GET", "/dns-query?dns=" + text(response), "", nil, 400},
			{"GET", "/dns-query?dns=" + text(ask(1, 'f')[:11]), "", nil, 400},
			{"GET", "/dns-query?dns=" + strings.Repeat("A", 684), "", nil, 414},
			{"GET", "/dns-query?dns=" + strings.Repeat("A", 7000), "", nil, 414},
			{"PUT", "/dns-query", doh.MediaType, bytes.NewReader(ask(1, 'f')), 405},
			{"HEAD", "/dns-query", "", nil, 400},
			{"OPTIONS", "/dns-query", "", nil, 405},
			{"POST", "/dns-query", "application/dns-json", bytes.NewReader(ask(1, 'f')), 415},
			{"POST", "/dns-query", "", bytes.NewReader(ask(1, 'f')), 415},
			{"POST", "/dns-query", doh.MediaType, bytes.NewReader(nil), 400},
			{"POST", "/dns-query", doh.MediaType, bytes.NewReader(response), 400},
			{"POST", "/dns-query", doh.MediaType, bytes.NewReader(long), 413},
			{"POST", "/dns-query", doh.MediaType, io.MultiReader(bytes.NewReader(long), bytes.NewReader(long)), 413},
			{"POST", "/dns-query", "Application/DNS-Message; a=b", bytes.NewReader(ask(1, 'f')), 200},
			{"POST", "/dns-query?dns=x", doh.MediaType, bytes.NewReader(long[:limits.HTTPBody]), 200},
			{"GET", "/dns%2Dquery?dns=" + text(ask(1, 'f')), "", nil, 200},
			{"GET", "/dns-query?a=b&dns=" + text(ask(1, 'f')) + "&dns=x", "", nil, 200},
			{"GET", "/dns-query?dns=" + strings.ReplaceAll(text(ask(1, 'f')), "A", "%41"), "", nil, 200},
		} {
			if x.want == 413 { // after which a connection may end
				c.CloseIdleConnections()
			}
			status, body, head := do(x.method, x.path, x.kind, x.body)
			if status != x.want || x.want == 405 && head.Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("%s, %d: %s %.40s: %d %.100q %v, want %d", way.name, i, x.method, x.path, status, body, head, x.want)
			}
		}
	}
	big := tcpClient(t, w.clear)
	if _, err := fmt.Fprintf(big, "GET /dns-query HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", long[:limits.HTTPHeaders]); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(big); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 431 ")) {
		t.Errorf("a head that is too long got %.100q, %v", got, err)
	}
	if st := w.Stats(); st.HTTPBad == 0 || w.limits.Get(limits.HTTPSize) == 0 {
		t.Errorf("bad %d, too long %d", st.HTTPBad, w.limits.Get(limits.HTTPSize))
	}
}

// A large question gives the room back that few have, however it is answered, and many of them
// are no flood.
func TestLargeQuestionsByHTTPGiveTheirRoomBack(t *testing.T) {
	const large = limits.HTTPUnasked / 3
	w := newWeb(t, newEcho())
	for _, way := range ways {
		c, base := w.client(way.two, way.safe)
		for _, how := range []byte("ffffdx") {
			status, body, _ := fetch(c.Post(base+"/dns-query", doh.MediaType, bytes.NewReader(ask(1, how, make([]byte, large)...))))
			if answered := status == 200 && len(body) > large; answered == (how == 'x') {
				t.Errorf("%s, %c: %d, %d octets", way.name, how, status, len(body))
			}
			eventually(t, "its room is free", func() bool { return w.http.large.Taken() == 0 })
		}
	}
}

// The operator chooses paths, and headers that come along with a question.
func TestPathsAndHeaders(t *testing.T) {
	h := &headed{echo: newEcho()}
	w := newWeb(t, h)
	w.SetDoH([]string{"/other"}, []string{":method", ":path", ":authority", ":scheme", "user-agent", "x-none", "x-two"})
	for _, way := range ways {
		c, base := w.client(way.two, way.safe)
		if status, _, _ := fetch(c.Get(getURL(base, ask(1, 'd')))); status != 404 {
			t.Errorf("%s: the default path gives %d", way.name, status)
		}
		req, err := http.NewRequest("POST", base+"/other?x", bytes.NewReader(ask(1, 'd')))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {doh.MediaType}, "User-Agent": {"me"}, "X-Two": {"1", "2"}}
		if status, body, _ := fetch(c.Do(req)); status != 200 {
			t.Fatalf("%s: %d %s", way.name, status, body)
		}
		scheme, authority, _ := strings.Cut(base, "://")
		want := fmt.Sprintf("[{:method POST} {:path /other?x} {:authority %s} {:scheme %s} {user-agent me} {x-two 1} {x-two 2}]", authority, scheme)
		if got := fmt.Sprint(h.headers()); got != want {
			t.Errorf("%s: headers %s, want %s", way.name, got, want)
		}
	}
}

// A headed echo remembers the headers of the last query.
type headed struct {
	*echo
	mu   sync.Mutex
	last []transport.Header
}

func (h *headed) Resolve(ctx context.Context, q *Query) {
	h.mu.Lock()
	h.last = q.Headers
	h.mu.Unlock()
	h.echo.Resolve(ctx, q)
}

func (h *headed) headers() []transport.Header {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.last)
}

// Questions of one connection by HTTP/2 are answered in the order in which their
// answers are ready, and the connection's requests are bounded, whether their
// streams live or were reset.
func TestManyStreams(t *testing.T) {
	h := newEcho()
	w := newWeb(t, h)
	for round, safe := range []bool{false, true} {
		all := (round + 1) * (limits.HTTPStreams - 1)
		c, base := w.client(true, safe)
		ctx, reset := context.WithCancel(context.Background())
		waiting := make(chan error, limits.HTTPStreams)
		for range limits.HTTPStreams - 1 {
			go func() {
				req, err := http.NewRequestWithContext(ctx, "GET", getURL(base, ask(1, 'w')), nil)
				if err != nil {
					waiting <- err
					return
				}
				resp, err := c.Do(req)
				if err == nil {
					resp.Body.Close()
				}
				waiting <- err
			}()
		}
		eventually(t, "the questions wait", func() bool { return w.Stats().Waiting == all })
		if status, body, _ := fetch(c.Get(getURL(base, ask(2, 'f')))); status != 200 {
			t.Fatalf("beside streams that wait: %d %s", status, body)
		}
		reset()
		for range limits.HTTPStreams - 1 {
			// The client may also learn first that the connection ends: it has given up
			// nearly all of its requests (limits.HTTPOffences).
			if err := <-waiting; err == nil {
				t.Fatal("a stream that was reset is answered")
			}
		}
		// The driver still works on the streams that were reset.
		if n := w.Stats().Waiting; n != all {
			t.Errorf("%d wait after the reset, want %d", n, all)
		}
	}
	close(h.release)
	eventually(t, "nothing waits", func() bool { return w.Stats().Waiting == 0 })
	eventually(t, "no request is in hand", func() bool { return w.http.places.Taken() == 0 })
}

// A connection's own limits: those by HTTP, beside those of all.
func TestConnectionsByHTTPAreBounded(t *testing.T) {
	r := newRegistry(clientLimits(limits.Clients{Conns: 2 * limits.HTTPConns, ConnsPerClient: 2 * limits.HTTPConns}))
	var first *connection
	for i := range limits.HTTPConns + 1 {
		c := &connection{http: i > 0}
		if i == 1 {
			first = c
		}
		if shed, ok := r.add(c); shed != nil || !ok {
			t.Fatalf("connection %d: shed %v, taken %v", i, shed, ok)
		}
	}
	if shed, ok := r.add(&connection{http: true}); shed != first || !ok {
		t.Errorf("beyond the limit: shed %p, want %p; taken %v", shed, first, ok)
	}
	if shed, ok := r.add(&connection{}); shed != nil || !ok {
		t.Errorf("a connection of another kind: shed %v, taken %v", shed, ok)
	}
	r.each(func(c *connection) { r.remove(c) })
	if r.http != 0 || r.len() != 0 {
		t.Errorf("%d and %d are left", r.http, r.len())
	}
}

// Who raises the limit on connections gets more of them by HTTP, too; who lowers it has no
// place reserved for others.
func TestMoreConnectionsAreMoreByHTTP(t *testing.T) {
	for conns, want := range map[int]int{
		1: limits.HTTPConns, limits.HTTPConns: limits.HTTPConns, limits.TCPConnsPerWorker: limits.HTTPConns,
		limits.TCPConnsPerWorker + 4: limits.HTTPConns + 1, 10 * limits.TCPConnsPerWorker: 10 * limits.HTTPConns,
	} {
		r := newRegistry(clientLimits(limits.Clients{Conns: conns, ConnsPerClient: conns + 1}))
		n := 0
		for range 11 * limits.HTTPConns {
			if shed, ok := r.add(&connection{http: true}); !ok || shed != nil {
				break
			}
			n++
		}
		if want = min(want, conns); n != want {
			t.Errorf("of %d connections %d may be by HTTP, want %d", conns, n, want)
		}
	}
}

// A server that leaves answers what it has, tells its clients, and ends.
func TestHTTPClientsAreToldOfTheEnd(t *testing.T) {
	for _, way := range ways {
		h := newEcho()
		w := newWeb(t, h)
		c, base := w.client(way.two, way.safe)
		if status, body, _ := fetch(c.Get(getURL(base, ask(1, 'f')))); status != 200 {
			t.Fatalf("%s: %d %s", way.name, status, body)
		}
		idle := tcpClient(t, w.clear) // that never asks
		late := make(chan string, 1)
		go func() {
			status, body, _ := fetch(c.Get(getURL(base, ask(2, 'w'))))
			late <- fmt.Sprint(status, len(body))
		}()
		eventually(t, "the question waits", func() bool { return w.Stats().Waiting == 1 })
		drained := make(chan struct{})
		go func() { w.Drain(context.Background()); close(drained) }()
		eventually(t, "the server drains", w.draining)
		if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%s: a silent client read %v", way.name, err)
		}
		close(h.release)
		if got := <-late; got != "200 14" {
			t.Errorf("%s: the question that waited got %s", way.name, got)
		}
		select {
		case <-drained:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the server does not end", way.name)
		}
		if st := w.Stats(); st.Conns != 0 {
			t.Errorf("%s: %d connections are left", way.name, st.Conns)
		}
	}
}

// Who comes while the server leaves, and says nothing, does not keep it for as long as an
// idle client is kept.
func TestALateSilentClientOfHTTPIsNotWaitedFor(t *testing.T) {
	w := newWeb(t, newEcho())
	w.drain.Store(true)
	for _, way := range ways {
		var c net.Conn
		if way.safe {
			conf := w.clientConfig.Clone()
			conf.NextProtos = []string{map[bool]string{true: "h2", false: "http/1.1"}[way.two]}
			secured := tls.Client(tcpClient(t, w.tls), conf)
			if err := secured.Handshake(); err != nil {
				t.Fatal(err)
			}
			c = secured
		} else {
			c = tcpClient(t, w.clear)
		}
		if way.two {
			settings := frame(4, 0)
			settings[len(settings)-1] = 0 // they are of the connection
			if _, err := c.Write(append([]byte(h2.Preface), settings...)); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		_ = c.SetReadDeadline(begun.Add(20 * time.Second))
		_, _ = io.Copy(io.Discard, c)
		if took := time.Since(begun); took > limits.LeaveFirstTCP+2*time.Second {
			t.Errorf("%s: it was kept for %v", way.name, took)
		}
	}
}

// A request that package net/http hands over when its connection has ended is not begun:
// nobody would wait for its end.
func TestARequestBehindTheEndOfItsConnectionIsNotBegun(t *testing.T) {
	c := &httpConn{}
	if !c.beginRequest() {
		t.Fatal("a request before the end was refused")
	}
	c.working.Done()
	c.endRequests()
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("it ended by %v", p)
		}
	}()
	c.ServeHTTP(nil, nil)
}

// The room of a large question is free for others as soon as the question is on its way:
// questions that wait for servers would keep all of them.
func TestALargeQuestionThatWaitsKeepsNoRoom(t *testing.T) {
	h := newEcho()
	w := newWeb(t, h)
	c, base := w.client(false, false)
	late := make(chan int, 1)
	go func() {
		status, _, _ := fetch(c.Post(base+"/dns-query", doh.MediaType, bytes.NewReader(ask(1, 'w', make([]byte, 2*limits.HTTPSmallBody)...))))
		late <- status
	}()
	eventually(t, "the question waits", func() bool { return w.Stats().Waiting == 1 })
	if n := w.http.large.Taken(); n != 0 {
		t.Errorf("%d rooms are taken", n)
	}
	close(h.release)
	if status := <-late; status != 200 {
		t.Errorf("it got status %d", status)
	}
}

// HTTP/1.1 as its clients may use it: several requests at once on one connection,
// which stays, and ends when it is silent.
func TestPipelinedRequests(t *testing.T) {
	w := newWeb(t, newEcho())
	w.SetTCPIdle(300 * time.Millisecond)
	c := tcpClient(t, w.clear)
	var all strings.Builder
	for i := range 20 {
		fmt.Fprintf(&all, "POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 13\r\n\r\n%s", doh.MediaType, ask(uint16(i), "fd"[i%2]))
	}
	if _, err := io.WriteString(c, all.String()); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c) // until the server ends the connection
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "HTTP/1.1 200 OK\r\n"); n != 20 {
		t.Errorf("%d responses of 20", n)
	}
}

// Clients that are slow lose their connection, or their request, in time.
func TestSlowHTTPClients(t *testing.T) {
	t.Parallel() // it waits for long
	w := newWeb(t, newEcho())
	head := tcpClient(t, w.clear)
	if _, err := io.WriteString(head, "GET /dns-query"); err != nil {
		t.Fatal(err)
	}
	body := tcpClient(t, w.clear)
	if _, err := fmt.Fprintf(body, "POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 13\r\n\r\nhalf", doh.MediaType); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{head, body} {
		_ = c.SetReadDeadline(time.Now().Add(3 * limits.HTTPRequestTime))
	}
	if got, err := io.ReadAll(head); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 400 ")) {
		t.Errorf("half a head got %q, %v", got, err)
	}
	if got, err := io.ReadAll(body); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 408 ")) {
		t.Errorf("half a body got %q, %v", got, err)
	}
}

// Bodies that stop before their end are in the way of no question that is there, and a
// client has his share of their places alone: the next one's body is read, too.
func TestBodiesThatNeverComeLeavePlacesForOthers(t *testing.T) {
	w := newWeb(t, newEcho())
	w.SetProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	share := 0 // of one client
	for hog := netip.MustParseAddr("192.0.2.1"); w.http.bodies.Take(hog); share++ {
		defer w.http.bodies.Give(hog)
	}
	post := func(client, body string) string {
		c := tcpClient(t, w.clear)
		_, _ = c.Write(proxyHeader(proxyOther, 0x11, ends(client, local4)))
		_, _ = fmt.Fprintf(c, "POST /dns-query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: 13\r\n\r\n%s", doh.MediaType, body)
		status := make([]byte, len("HTTP/1.1 200"))
		_, _ = io.ReadFull(c, status)
		return string(status)
	}
	whole := string(ask(1, 'f'))
	if got := post("192.0.2.1:1", whole); got != "HTTP/1.1 503" {
		t.Errorf("one with %d bodies on their way got %q for another", share, got)
	}
	if got := post("192.0.2.2:1", whole); got != "HTTP/1.1 200" {
		t.Errorf("the next client got %q", got)
	}
	if n := w.http.places.Taken(); n != 0 || w.Stats().HTTPRefused != 1 {
		t.Errorf("%d places of questions are taken, %d requests were refused", n, w.Stats().HTTPRefused)
	}
	c := tcpClient(t, w.clear)
	_, _ = c.Write(proxyHeader(proxyOther, 0x11, ends("192.0.2.3:1", local4)))
	_, _ = fmt.Fprintf(c, "POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 13\r\n\r\nhalf", doh.MediaType)
	eventually(t, "half a body is there", func() bool { return w.http.bodies.Taken() == share+1 })
	if n := w.http.places.Taken(); n != 0 {
		t.Errorf("half a body has %d places of questions", n)
	}
}

// A client that sends a body only when it knows that the head has come, as the system does for
// one that has not switched off Nagle's algorithm, waited for 40 ms with each question, until
// the system acknowledged of its own accord.
func TestAHeadIsAcknowledgedBeforeItsBody(t *testing.T) {
	w := newWeb(t, newEcho())
	c := tcpClient(t, w.clear)
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	r := bufio.NewReader(c)
	question := ask(7, 'f')
	took := map[bool][]time.Duration{}
	for i := range 60 {
		apart := i%2 == 0
		_ = c.SetNoDelay(!apart)
		head := fmt.Appendf(nil, "POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", doh.MediaType, len(question))
		begun := time.Now()
		parts := [][]byte{append(slices.Clone(head), question...)}
		if apart {
			parts = [][]byte{head, question}
		}
		for _, part := range parts {
			if _, err := c.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		resp, err := http.ReadResponse(r, nil)
		if status, body, _ := fetch(resp, err); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		took[apart] = append(took[apart], time.Since(begun))
	}
	for _, list := range took {
		slices.Sort(list)
	}
	const delay = 40 * time.Millisecond // of an acknowledgement that nobody asks for
	if apart, once := took[true][15], took[false][15]; apart > once+delay/2 {
		t.Errorf("a body behind its head is answered after %v, both at once after %v", apart, once)
	}
}
