package listen

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/doh"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// What happens seldom: places run out, sessions fail, directories go.

// fill takes all places for others, and gives them back at the end.
func fill(t *testing.T, places *limits.Shares) (most int) {
	t.Helper()
	for places.Take(netip.Addr{}) {
		most++
	}
	t.Cleanup(func() {
		for range most {
			places.Give(netip.Addr{})
		}
		if n := places.Taken(); n != 0 {
			t.Errorf("%d places are lost", n)
		}
	})
	return most
}

// A client by HTTP for whose question there is no place is told so, whatever place it is that
// lacks, and one for whom there are places is not in its way.
func TestRequestsWithoutAPlaceAreToldSo(t *testing.T) {
	large := make([]byte, limits.HTTPUnasked/3)
	for _, way := range ways {
		for _, c := range []struct {
			name        string
			lacks       func(*web) *limits.Shares
			get, small  int // the status of a GET, and of a short POST
			long        int // and of a long one
			timesWanted uint64
		}{
			{"questions", func(w *web) *limits.Shares { return w.http.places }, 503, 503, 503, 3},
			{"bodies", func(w *web) *limits.Shares { return w.http.bodies }, 200, 503, 503, 2},
			{"long questions", func(w *web) *limits.Shares { return w.http.large }, 200, 200, 503, 1},
		} {
			t.Run(way.name+", "+c.name, func(t *testing.T) {
				w := newWeb(t, newEcho())
				most := fill(t, c.lacks(w))
				client, base := w.client(way.two, way.safe)
				get, _, _ := fetch(client.Get(getURL(base, ask(1, 'f'))))
				small, _, _ := fetch(client.Post(base+"/dns-query", doh.MediaType, bytes.NewReader(ask(1, 'f'))))
				long, _, _ := fetch(client.Post(base+"/dns-query", doh.MediaType, bytes.NewReader(ask(1, 'f', large...))))
				if get != c.get || small != c.small || long != c.long {
					t.Errorf("a GET, a short and a long POST: %d, %d, %d; want %d, %d, %d", get, small, long, c.get, c.small, c.long)
				}
				if n := w.limits.Get(limits.HTTPRequest); n != c.timesWanted || w.Stats().HTTPRefused != c.timesWanted {
					t.Errorf("counted %d times, refused %d, want %d", n, w.Stats().HTTPRefused, c.timesWanted)
				}
				eventually(t, "all places but those of others are free", func() bool {
					return w.http.places.Taken()+w.http.bodies.Taken()+w.http.large.Taken() == most
				})
			})
		}
	}
}

// Where no session can be made, a question by HTTP is answered SERVFAIL, and a connection by
// TCP ends. The next one is answered.
func TestQuestionsForWhichThereIsNoSession(t *testing.T) {
	for _, way := range ways {
		w := newWeb(t, &sessionless{newEcho(), 1})
		client, base := w.client(way.two, way.safe)
		for _, rcode := range []byte{2, 0} {
			if status, body, _ := fetch(client.Get(getURL(base, ask(1, 'f')))); status != 200 || len(body) < headerLen || body[3] != rcode {
				t.Errorf("%s: %d %q, want RCODE %d", way.name, status, body, rcode)
			}
		}
	}
	s := serve(t, &sessionless{newEcho(), 1})
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), tcpOnly); err != nil {
		t.Fatal(err)
	}
	for _, answered := range []bool{false, true} {
		c := tcpClient(t, s.Endpoints()[0].Addr)
		sendFrames(t, c, ask(1, 'f'))
		if msg, err := nextMessage(c); (err == nil) != answered || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q, %v; want an answer %v", msg, err, answered)
		}
	}
	if n := s.limits.Get(limits.TCPTime); n != 0 {
		t.Errorf("%d connections were kept until their time was over", n)
	}
}

// buggy has sessions that answer 'o' from memory of their own, and of which the first End panics.
type buggy struct {
	*echo
	ended bool
}

func (h *buggy) NewSession() (Session, error) {
	s, err := h.echo.NewSession()
	return &buggySession{s, h}, err
}

type buggySession struct {
	Session
	h *buggy
}

func (s *buggySession) Answer(query []byte, from *Client, out []byte) ([]byte, Handling) {
	if query[headerLen] == 'o' {
		return bytes.Clone(query), Reply
	}
	return s.Session.Answer(query, from, out)
}

func (s *buggySession) End() {
	if s.Session.End(); !s.h.ended {
		s.h.ended = true
		panic("end")
	}
}

// A session that panics at the end of a batch costs no answer of that, and no answer is sent
// twice. One that answers from memory which is not its buffer costs that answer alone.
func TestBugsOfASessionByUDP(t *testing.T) {
	s := serve(t, &buggy{echo: newEcho()}, "127.0.0.1:0")
	u := udpClient(t, s.Endpoints()[0].Addr)
	for i, how := range []byte("ffof") {
		want := byte(0)
		if how == 'o' {
			want = 2
		}
		if got := exchange(t, u, ask(uint16(i), how)); id(got) != uint16(i) || got[3] != want {
			t.Errorf("question %d: got ID %d, RCODE %d, want RCODE %d", i, id(got), got[3], want)
		}
	}
	counted(t, s, "two panics, four questions", func(st Stats) bool { return st.Panics == 2 && st.UDP == 4 })
}

// Open tells of the path that it cannot open, and a second Open leaves what is served.
func TestOpenNamesAPathThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "dns")
	s := New(newEcho(), Options{Limits: &limits.Counters{}, Panics: quietPanics()})
	if err := errors.Join(s.ListenPath(path, atPath), os.Remove(dir)); err != nil {
		t.Fatal(err)
	}
	var be *BindError
	if err := s.Open(); !errors.As(err, &be) || be.Path != path {
		t.Errorf("%v, want one that names %s", err, path)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err != nil {
		t.Fatalf("when its directory is there: %v", err)
	}
	first := fileAt(path)
	if err := s.Open(); err != nil || fileAt(path) != first || first == (fileID{}) {
		t.Errorf("opened again: %v, file %v became %v", err, first, fileAt(path))
	}
	if err := askPath(path); err != nil {
		t.Error(err)
	}
	s.Drain(t.Context())
}

// A path is not served by a transport that the server has not got.
func TestAPathIsServedByWhatThereIs(t *testing.T) {
	s := New(newEcho(), Options{})
	err := s.ListenPath(filepath.Join(t.TempDir(), "dns"), PathFlags{Flags: only(transport.TLS)})
	if !errors.Is(err, ErrNotServed) || len(s.Endpoints()) != 0 {
		t.Errorf("%v, endpoints %+v", err, s.Endpoints())
	}
}

// A path that has lost its file is opened anew beside an address, which is left as it is, and
// where that cannot be done the path is served as before.
func TestLostPathsAreLookedForBesideAddresses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "dns")
	s := serve(t, newEcho(), "127.0.0.1:0")
	if err := s.ListenPath(path, atPath); err != nil {
		t.Fatal(err)
	}
	sockets := func() (of [2]socket) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return [2]socket{s.endpoints[0].socket, s.endpoints[2].socket}
	}
	before := sockets()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	left := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.leaving)
	}
	if !s.lookAtPaths() || sockets() != before || left() != 0 {
		t.Error("a path that cannot be opened is let go, or another socket is")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if !s.lookAtPaths() || sockets()[0] != before[0] || sockets()[1] == before[1] {
		t.Error("the path is not opened anew, or another socket is")
	}
	if err := askPath(path); err != nil {
		t.Error(err)
	}
	if s.ClosePath(path); s.lookAtPaths() {
		t.Error("the address is taken for a path that may be lost")
	}
}

// What was adopted is served beside what was bound, which is left as it is.
func TestWhatIsAdoptedIsServedBesideTheRest(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	pc, ln := boundPair(t, "127.0.0.1")
	ln.Close()
	f, err := pc.File()
	if err != nil {
		t.Fatal(err)
	}
	pc.Close()
	if err := errors.Join(s.Adopt(f, both.Kinds), s.ServeAdopted()); err != nil {
		t.Fatal(err)
	}
	for i, e := range s.Endpoints() {
		if e.Kind == transport.UDP && id(exchange(t, udpClient(t, e.Addr), ask(uint16(i), 'f'))) != uint16(i) {
			t.Errorf("%v does not answer", e.Addr)
		}
	}
}

// A client for whom there is no room learns so also behind a proxy: its connection ends, and
// is not counted any more.
func TestAClientBehindAProxyForWhomThereIsNoRoom(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	s.SetProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	may := limits.DefaultClients()
	may.ConnsPerClient = 1
	s.SetClientLimits(may)
	come := func(client string) *net.TCPConn {
		c := tcpClient(t, s.Endpoints()[0].Addr)
		if _, err := c.Write(append(proxyHeader(proxyOther, 0x11, ends(client, local4)), appendFrame(nil, ask(1, 'w'))...)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	come("192.0.2.1:1")
	eventually(t, "the first one waits for its answer", func() bool { return s.Stats().Waiting == 1 })
	c := come("192.0.2.1:2")
	if msg, err := nextMessage(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second one: %q, %v", msg, err)
	}
	eventually(t, "one is left", func() bool { return s.Stats().Conns == 1 })
	close(h.release)
	if st := s.Stats(); st.TCP != 1 || st.TCPRefused != 1 {
		t.Errorf("%d questions, %d connections refused", st.TCP, st.TCPRefused)
	}
}

// A part of a request by HTTP/2 that has not come in time ends the connection, and counts, but
// not where it came and was not read in time.
func TestWhatHasNotComeByHTTP2InTime(t *testing.T) {
	for _, came := range []bool{false, true} {
		nc, client := atBothEnds(t)
		on := newHTTPConn(serve(t, newEcho()), transport.HTTP, nc)
		on.source = &source{}
		c := newHTTP2Conn(on, on.stream)
		c.in = append(c.buf[:0], 'a')
		c.part = time.Now().Add(-time.Second)
		if came {
			if _, err := client.Write([]byte("bc")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is in the kernel", func() bool { return readable(on.stream) })
		}
		if got := c.patient(os.ErrDeadlineExceeded); got != came {
			t.Errorf("came %v: the connection goes on %v", came, got)
		}
		if came && string(c.in) != "abc" {
			t.Errorf("what came is %q", c.in)
		}
		if n := c.s.limits.Get(limits.TCPTime); (n == 1) == came {
			t.Errorf("came %v: counted %d times", came, n)
		}
		if n := on.source.offences; (n == 1) == came {
			t.Errorf("came %v: %d offences", came, n)
		}
	}
}

// What is no address of the Internet is none.
func TestAnAddressOfAnotherFamilyIsNone(t *testing.T) {
	if got := (&sockaddr{}).addrPort(); got.IsValid() {
		t.Errorf("%v", got)
	}
}

// A link-local address without its interface cannot be bound, and the error says what lacks.
func TestALinkLocalAddressWithoutItsInterface(t *testing.T) {
	for addr, hint := range map[string]bool{"[fe80::1]:53": true, "[fe80::1%lo]:53": false, "[2001:db8::1]:53": false, "169.254.0.1:53": false} {
		at := netip.MustParseAddrPort(addr)
		if err := bindError(at, os.NewSyscallError("bind", unix.EACCES)); !errors.Is(err, unix.EACCES) {
			t.Errorf("%s: %v", addr, err)
		}
		err := bindError(at, os.NewSyscallError("bind", unix.EINVAL))
		if got := strings.Contains(err.Error(), "needs its interface"); got != hint {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// atBothEnds is an accepted connection and its client.
func atBothEnds(t *testing.T) (accepted, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client := tcpClient(t, plainAddr(ln.Addr()))
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc.(accepted), client
}

// What costs work and is no question is an offence of the client, by whatever it comes.
func TestWhatIsAnOffence(t *testing.T) {
	response := ask(1, 'f')
	response[2] |= 0x80
	for _, c := range []struct {
		name string
		sent []byte
		do   func(*framedConn) error
	}{
		{"a header of a proxy by a client that is none", proxyHeader(proxyLocal, 0), (*framedConn).read},
		{"a response", appendFrame(nil, response), func(c *framedConn) error { return errors.Join(c.read(), c.answerAll()) }},
		{"a message that never comes whole", []byte{0}, func(c *framedConn) error {
			c.in, c.messageDue = append(c.buf[:0], 0), time.Now().Add(-time.Second)
			if c.patient(os.ErrDeadlineExceeded) {
				return nil
			}
			return os.ErrDeadlineExceeded
		}},
	} {
		nc, client := atBothEnds(t)
		s := serve(t, newEcho())
		conn := newFramedConn(s, transport.TCP, nc, nc)
		conn.source = &source{}
		if _, err := client.Write(c.sent); err != nil {
			t.Fatal(err)
		}
		if err := c.do(conn); err == nil || conn.source.offences != 1 {
			t.Errorf("%s: %v, %d offences", c.name, err, conn.source.offences)
		}
	}
}

// A flood by HTTP is counted once, and as many offences as end a connection.
func TestAFloodByHTTPIsAnOffence(t *testing.T) {
	u := unserved(t)
	u.http.source = &source{}
	for range 2 {
		u.http.stream.flooded()
	}
	if n := u.http.source.offences; n != limits.HTTPOffences || u.s.limits.Get(limits.HTTPFlood) != 1 {
		t.Errorf("%d offences, counted %d times", n, u.s.limits.Get(limits.HTTPFlood))
	}
}

// An answer is late where more questions of its client wait than may, itself not among them.
func TestALateAnswerIsNotAmongThoseThatWait(t *testing.T) {
	now := clock.NewFake(time.Unix(1e9, 0))
	may := limits.DefaultClients()
	may.Late = 2
	p := newPending(clientLimits(may), &now.Clock, &limits.Counters{})
	var all []*Query
	for n := range 4 {
		q := from("192.0.2.1")
		if _, ok := p.admit(q); !ok {
			t.Fatal("a question is refused")
		}
		all = append(all, q)
		now.Advance(limits.LateUDPReply + 1)
		if got, want := p.late(all[0]), n > may.Late; got != want {
			t.Errorf("beside %d others it is late: %v", n, got)
		}
	}
	if p.leave(all[0]); !p.late(all[0]) {
		t.Error("one that has lost its place is not late beside three")
	}
	if p.leave(all[1]); p.late(all[0]) {
		t.Error("one that has lost its place is late beside two")
	}
}

// What is kept of a client of whom nothing waits serves for the next one, who begins anew.
func TestAPaceIsKeptForNobody(t *testing.T) {
	ps := paces{of: map[netip.Addr]*pace{}}
	for i := range byte(3) {
		client := netip.AddrFrom4([4]byte{192, 0, 2, i})
		ps.came(client, time.Second)
		if p := ps.of[client]; p.waiting != 1 || p.hadLine || p.next != 0 || len(p.line) != 0 {
			t.Errorf("client %d begins with %+v", i, p)
		}
		ps.of[client].next, ps.of[client].hadLine = time.Minute, true
		if ps.left(client); len(ps.of) != 0 {
			t.Errorf("%d clients are kept", len(ps.of))
		}
	}
}

// A connection by HTTP/2 to a server that leaves ends soon after its last request, and no other
// does.
func TestTheLastRequestByHTTP2EndsItsConnection(t *testing.T) {
	for _, c := range []struct {
		leaving  bool
		requests int32
		ends     bool
	}{{false, 1, false}, {true, 2, false}, {true, 1, true}} {
		u := unserved(t)
		u.leaving.Store(c.leaving)
		u.conn.outstanding.Store(c.requests)
		r := &http2Request{c: u}
		for range 2 { // a request ends once
			u.mu.Lock()
			r.done()
			u.mu.Unlock()
		}
		if ends := u.http.stream.quiet == limits.LeaveQuietTCP; ends != c.ends || u.conn.outstanding.Load() != c.requests-1 {
			t.Errorf("%+v: ends %v, %d requests are left", c, ends, u.conn.outstanding.Load())
		}
	}
}

// The date of responses is worded once a second.
func TestTheDateIsWordedOnceASecond(t *testing.T) {
	var d dateCache
	at := time.Unix(784111777, 0) // RFC 9110, section 5.6.7
	for i, want := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"} {
		now := at.Add(time.Duration(i) * time.Second)
		if got := d.dateField(now); got.Name != "date" || got.Value != want {
			t.Errorf("%v: %+v, want %s", now, got, want)
		}
		last := d.last.Load()
		if d.dateField(now.Add(time.Second - 1)); last == nil || d.last.Load() != last {
			t.Errorf("%v: it is worded twice", now)
		}
	}
}

// Who has lost the right to receive does not wait by it.
func TestNobodyAwaitsByAReceptionThatIsPassedOn(t *testing.T) {
	th, _ := ownThread(t, "127.0.0.1:0")
	r := &Reception{t: th}
	r.state.Store(passed)
	if readable, held := r.Await(-1, time.Hour); readable || held {
		t.Errorf("readable %v, held %v", readable, held)
	}
}

// meanwhile is what a connection's answers are written to, and what happens during the first write.
type meanwhile struct {
	sent  []string
	first func()
}

func (m *meanwhile) Write(b []byte) (int, error) {
	m.sent = append(m.sent, string(b))
	if first := m.first; first != nil {
		m.first = nil
		first()
	}
	return len(b), nil
}

// An answer that is ready while another is written leaves behind it, by whoever writes: two at
// a time would mix their octets.
func TestAnswersAreWrittenByOneAtATime(t *testing.T) {
	w, to := &connWriter{}, &meanwhile{}
	w.init(serve(t, newEcho()), &connection{}, to, nil)
	say := func(word string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		out := w.bufferLocked()
		*out = append(*out, word...)
	}
	to.first = func() {
		say("two")
		if w.flush(); len(to.sent) != 1 {
			t.Errorf("written at the same time: %q", to.sent)
		}
	}
	say("one")
	if !w.flush() || len(to.sent) != 2 || to.sent[0] != "one" || to.sent[1] != "two" {
		t.Errorf("written: %q", to.sent)
	}
	if say("three"); !w.flush() || len(to.sent) != 3 || w.writing || w.buffered() != 0 {
		t.Errorf("written later: %q; %d octets are left", to.sent, w.buffered())
	}
}
