package listen

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"kresd/internal/doh"
	"kresd/internal/h2"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// The frames and flags that tests send (RFC 9113, section 6).
const (
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	frameHeadLen  = 9
	flagsWhole    = 5 // END_STREAM and END_HEADERS
)

// frame is one of HTTP/2 on stream 1.
func frame(kind, flags byte, payload ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	return append(append(b, flags, 0, 0, 0, 1), payload...)
}

// A connection that resets its streams ends before more of what it sent is read, and a
// client of the same address is served.
func TestARapidResetEndsTheConnection(t *testing.T) {
	w := newWeb(t, newEcho())
	c := tcpClient(t, w.clear)
	sent := append([]byte(h2.Preface), frame(4, 0)...)
	sent[len(sent)-1] = 0 // settings are of the connection
	for id := range uint32(1000) {
		head := frame(frameHeaders, 5, 0x82, 0x86, 0x84, 0x41, 1, 'x') // GET http / x
		reset := frame(frameReset, 0, 0, 0, 0, 8)
		for _, b := range [][]byte{head, reset} {
			binary.BigEndian.PutUint32(b[5:], 2*id+1)
			sent = append(sent, b...)
		}
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = c.Write(sent) // of which the end may find nobody any more
	_, _ = io.Copy(io.Discard, c)
	eventually(t, "the connection has ended", func() bool { return w.Stats().Conns == 0 })
	if n := w.Stats().HTTPRequests; n > limits.HTTPOffences+1 || w.limits.Get(limits.HTTPFlood) != 1 {
		t.Errorf("%d requests were served, want %d; counted %d times", n, limits.HTTPOffences+1, w.limits.Get(limits.HTTPFlood))
	}
	good, base := w.client(true, false)
	if status, body, _ := fetch(good.Get(getURL(base, ask(1, 'f')))); status != 200 {
		t.Errorf("another connection: %d %s", status, body)
	}
}

// onStream is a frame on another stream than the first.
func onStream(id uint32, b []byte) []byte {
	binary.BigEndian.PutUint32(b[5:], id)
	return b
}

// requestHead is the head of a POST, or of a GET of msg if there is one.
func requestHead(msg []byte) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	method, path := "POST", "/dns-query"
	if msg != nil {
		method, path = "GET", path+"?dns="+base64.RawURLEncoding.EncodeToString(msg)
	}
	for _, f := range [][2]string{{":method", method}, {":scheme", "http"}, {":path", path}, {"content-type", doh.MediaType}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true}) // which leaves the table alone
	}
	return b.Bytes()
}

// begins is a connection by HTTP/2 in the clear whose client has set what it wants.
func (w *web) begins(settings ...byte) net.Conn {
	w.t.Helper()
	c := tcpClient(w.t, w.clear)
	if _, err := c.Write(append([]byte(h2.Preface), onStream(0, frame(frameSettings, 0, settings...))...)); err != nil {
		w.t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(3 * limits.HTTPRequestTime))
	return c
}

const endHeaders = 4

// A client that ends its side before its bodies have come, or before it has given room for an
// answer, is not waited for: its connection and all places that it has are free.
func TestBodiesThatCannotComeAreNotWaitedFor(t *testing.T) {
	h := newEcho()
	w := newWeb(t, h)
	c := w.begins(0, 4, 0, 0, 0, 0) // there is no room for a body
	for _, b := range [][]byte{
		frame(frameHeaders, endHeaders, requestHead(nil)...),
		onStream(3, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'f'))...)),
		onStream(5, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'w'))...)),
	} {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a body is awaited and a question waits", func() bool { return w.http.bodies.Taken() == 1 && w.Stats().Waiting == 1 })
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the body is not awaited", func() bool { return w.http.bodies.Taken() == 0 && w.http.places.Taken() == 1 })
	close(h.release)
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("the connection ended by %v", err)
	}
	eventually(t, "no place is taken", func() bool { return w.http.places.Taken() == 0 && w.Stats().Conns == 0 })
}

// A connection that breaks off gives back what its requests have.
func TestABrokenConnectionGivesItsPlacesBack(t *testing.T) {
	h := newEcho()
	w := newWeb(t, h)
	c := w.begins(0, 4, 0, 0, 0, 0)
	_, _ = c.Write(frame(frameHeaders, endHeaders, requestHead(nil)...))
	_, _ = c.Write(onStream(3, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'f'))...)))
	_, _ = c.Write(onStream(5, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'w'))...)))
	eventually(t, "all have their places", func() bool { return w.http.bodies.Taken() == 1 && w.http.places.Taken() == 2 && w.Stats().Waiting == 1 })
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
	eventually(t, "only the question that waits has one", func() bool { return w.http.bodies.Taken() == 0 && w.http.places.Taken() == 1 })
	eventually(t, "the connection is not kept for its answer", func() bool { return w.Stats().Conns == 0 })
	close(h.release)
	eventually(t, "nobody has", func() bool { return w.http.places.Taken() == 0 && w.Stats().Conns == 0 })
}

// A head that tells of a body and ends its stream broke the connection: nobody had heard of the
// request that ended.
func TestABodyThatIsToldOfAndCannotCome(t *testing.T) {
	w := newWeb(t, newEcho())
	c := w.begins()
	var head bytes.Buffer
	e := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/dns-query"}, {"content-length", "1"}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
	}
	_, _ = c.Write(frame(frameHeaders, flagsWhole, head.Bytes()...))
	_, _ = c.Write(onStream(3, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'f'))...)))
	eventually(t, "the next request is answered", func() bool { return w.Stats().Answered == 1 })
	if st := w.Stats(); st.HTTPBroken != 1 || st.Panics != 0 || st.Conns != 1 {
		t.Errorf("stats %+v", st)
	}
}

// The goroutine that reads waited for itself where more than a client may leave unread was to
// be sent, and a question found no place on the driver's way.
func TestTheReaderWaitsForNobodyButTheClient(t *testing.T) {
	w := newWeb(t, &longEcho{newEcho()})
	c := w.begins(0, 4, 0, 0, 0, 0) // there is no room for a body
	_, _ = c.Write(onStream(0, frame(8, 0, 0x10, 0, 0, 0)))
	for id := uint32(1); id < 60; id += 2 {
		_, _ = c.Write(onStream(id, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'f'))...)))
	}
	eventually(t, "the answers wait", func() bool { return w.Stats().Answered == 30 })
	w.Server.clients.Store(&limits.Clients{Conns: 100, ConnsPerClient: 100}) // nobody has a place on the driver's way
	all := onStream(0, frame(frameSettings, 0, 0, 4, 0, 1, 0, 0))            // room for all answers at once
	all = append(all, onStream(61, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'w'))...))...)
	if _, err := c.Write(all); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, c) }()
	eventually(t, "all are answered", func() bool { return w.http.places.Taken() == 0 && w.Stats().Conns == 0 })
}

// A longEcho answers at length.
type longEcho struct{ *echo }

func (h *longEcho) NewSession() (Session, error) {
	s, err := h.echo.NewSession()
	return &longSession{s}, err
}

type longSession struct{ Session }

func (s *longSession) Answer(query []byte, from *Client, out []byte) ([]byte, Handling) {
	reply, h := s.Session.Answer(query, from, out)
	if h == Reply {
		reply = append(reply, make([]byte, 8000)...)
	}
	return reply, h
}

// A client is told which rule it broke, though it goes on sending.
func TestAViolationIsTold(t *testing.T) {
	w := newWeb(t, newEcho())
	c := w.begins()
	_, _ = c.Write(append(onStream(0, frame(6, 0, 1, 2, 3)), make([]byte, 4000)...)) // a short PING
	got, _ := io.ReadAll(c)
	if n := len(got); n < 17 || got[n-14] != 7 || binary.BigEndian.Uint32(got[n-4:]) != uint32(h2.FrameSizeError) {
		t.Errorf("the last words are %x", got)
	}
}

// A body that does not come in time is told so, an answer for which the client gives no room
// is given up, and other requests of the connection go on.
func TestSlowStreams(t *testing.T) {
	t.Parallel() // it waits for long
	w := newWeb(t, newEcho())
	c := w.begins(0, 4, 0, 0, 0, 0)
	_, _ = c.Write(frame(frameHeaders, endHeaders, requestHead(nil)...))
	_, _ = c.Write(onStream(3, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'f'))...)))
	eventually(t, "the answer is given up", func() bool { return w.http.places.Taken() == 0 && w.Stats().HTTPRequests == 2 })
	eventually(t, "the body is", func() bool { return w.http.bodies.Taken() == 0 })
	_, _ = c.Write(onStream(5, frame(frameHeaders, flagsWhole, requestHead(ask(1, 'f'))...)))
	_, _ = c.Write(onStream(5, frame(8, 0, 0, 0, 1, 0))) // room for the last
	got := map[uint32]string{}
	said := hpack.NewDecoder(4096, nil)
	for !strings.Contains(got[5], "ends") {
		head := make([]byte, frameHeadLen)
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatalf("%v, so far %v", err, got)
		}
		payload := make([]byte, binary.BigEndian.Uint32(head)>>8)
		if _, err := io.ReadFull(c, payload); err != nil {
			t.Fatal(err)
		}
		stream := binary.BigEndian.Uint32(head[5:])
		switch head[3] {
		case frameHeaders:
			fields, err := said.DecodeFull(payload)
			if err != nil || len(fields) < 2 || fields[len(fields)-1].Name != "date" {
				t.Fatalf("a head of %v, %v", fields, err)
			}
			got[stream] += fields[0].Value
		case frameReset:
			got[stream] += " reset"
		case 0:
			if head[4] == 1 {
				got[stream] += " ends"
			}
		}
	}
	if got[1] != "408 reset" && got[1] != "408" || got[3] != "200 reset" || got[5] != "200 ends" {
		t.Errorf("got %v", got)
	}
}

// A client took it for a failure of the stream when it was refused before it had sent its body.
func TestARefusalComesWhenTheRequestIsWhole(t *testing.T) {
	w := newWeb(t, newEcho())
	for _, whole := range []bool{true, false} {
		c := w.begins()
		var head bytes.Buffer
		e := hpack.NewEncoder(&head)
		for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/dns-query"}, {"content-type", "text/plain"}} {
			_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
		}
		_, _ = c.Write(frame(frameHeaders, endHeaders, head.Bytes()...))
		eventually(t, "the request is there", func() bool { return w.http.requests.Load() > 0 })
		w.http.requests.Store(0)
		if whole {
			if st := w.Stats(); st.HTTPBad != 0 {
				t.Error("it is refused before it is whole")
			}
			_, _ = c.Write(frame(0, 1, 'x', '=', 'y'))
		}
		var kinds []byte
		for len(kinds) == 0 || kinds[len(kinds)-1] != 0 && kinds[len(kinds)-1] != frameReset {
			got := make([]byte, frameHeadLen)
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(got)>>8)); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, got[3])
		}
		if !bytes.HasSuffix(kinds, []byte{frameHeaders, 0}) {
			t.Errorf("whole %t: frames of types %v", whole, kinds)
		}
	}
}

// A client whose body is too long, or is not wanted and cannot come whole, took the reset that
// came along with the response for a failure of the stream. It has the response at once, and
// the reset a while later if it goes on.
func TestARefusalIsReadBeforeTheReset(t *testing.T) {
	for _, kind := range []string{doh.MediaType, "text/plain"} {
		for _, ends := range []bool{true, false} {
			w := newWeb(t, newEcho())
			c := w.begins()
			var head bytes.Buffer
			e := hpack.NewEncoder(&head)
			for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/dns-query"}, {"content-type", kind}, {"content-length", "70000"}} {
				_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
			}
			_, _ = c.Write(frame(frameHeaders, endHeaders, head.Bytes()...))
			var kinds []byte
			next := func() byte { // 255: the connection has ended
				got := make([]byte, frameHeadLen)
				if _, err := io.ReadFull(c, got); errors.Is(err, io.EOF) {
					return 255
				} else if err != nil {
					t.Fatalf("%s, %t: %v after frames of types %v", kind, ends, err, kinds)
				}
				if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(got)>>8)); err != nil {
					t.Fatal(err)
				}
				kinds = append(kinds, got[3])
				return got[3]
			}
			for kind := next(); kind != 0 && kind != 255; kind = next() {
			}
			if !bytes.HasSuffix(kinds, []byte{frameHeaders, 0}) || w.Stats().HTTPBad != 1 {
				t.Errorf("%s: frames of types %v, %+v", kind, kinds, w.Stats())
			}
			if ends { // it gives the stream up
				_, _ = c.Write(frame(frameReset, 0, 0, 0, 0, 8))
			} else if next() != frameReset {
				t.Errorf("%s: frames of types %v", kind, kinds)
			}
			eventually(t, "the request has ended", func() bool { return w.http.bodies.Taken() == 0 && w.http.places.Taken() == 0 })
			_ = c.(*net.TCPConn).CloseWrite()
			for kind := next(); kind != 255; kind = next() {
				if ends && kind == frameReset {
					t.Errorf("frames of types %v to a client that had given up", kinds)
				}
			}
			eventually(t, "the connection has ended", func() bool { return w.Stats().Conns == 0 })
		}
	}
}

// A request whose end had not come when its client fell silent, and whose answer came after
// that, was waited for without end, with its connection and its place.
func TestARequestWithoutEndHoldsNoConnection(t *testing.T) {
	h := newEcho()
	w := newWeb(t, h)
	c := w.begins()
	_, _ = c.Write(frame(frameHeaders, endHeaders, requestHead(ask(0, 'w'))...))
	_, _ = c.Write(onStream(3, frame(frameHeaders, endHeaders, requestHead(nil)...)))
	eventually(t, "one waits for its answer, one for its body", func() bool { return w.Stats().Waiting == 1 && w.http.bodies.Taken() == 1 })
	_ = c.(*net.TCPConn).CloseWrite()
	eventually(t, "the server knows that nothing comes any more", func() bool { return w.http.bodies.Taken() == 0 })
	close(h.release)
	eventually(t, "the connection has ended", func() bool { return w.Stats().Conns == 0 && w.http.places.Taken() == 0 })
}

// The client is told that its body is wanted, if it asks.
func TestABodyThatWaitsForItsWord(t *testing.T) {
	w := newWeb(t, newEcho())
	c, base := w.client(true, false)
	c.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	req, err := http.NewRequest("POST", base+"/dns-query", bytes.NewReader(ask(1, 'f')))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {doh.MediaType}, "Expect": {"100-continue"}}
	status, body, head := fetch(c.Do(req))
	if status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if at, err := http.ParseTime(head.Get("Date")); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("the response is of %q", head.Get("Date"))
	}
}

// The answer that a session has leaves without another goroutine or a piece of memory for
// each question but what its head takes.
func BenchmarkHTTP2(b *testing.B) {
	s := serve(b, newEcho())
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.HTTP)); err != nil {
		b.Fatal(err)
	}
	c := tcpClient(b, s.Endpoints()[0].Addr)
	if _, err := c.Write(append([]byte(h2.Preface), onStream(0, frame(frameSettings, 0))...)); err != nil {
		b.Fatal(err)
	}
	head := requestHead(ask(1, 'f'))
	buf := make([]byte, 1<<16)
	id := uint32(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(onStream(id, frame(frameHeaders, flagsWhole, head...))); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
		if id%1000 == 1 { // room for more
			_, _ = c.Write(onStream(0, frame(8, 0, 0, 1, 0, 0)))
		}
		id += 2
	}
}

// A client by HTTP/2 that connects while the server leaves is told so at once, and served.
func TestWhoComesByHTTP2WhileTheServerLeavesIsTold(t *testing.T) {
	w := newWeb(t, newEcho())
	w.drain.Store(true)
	c := w.begins()
	if _, err := c.Write(frame(frameHeaders, flagsWhole, requestHead(ask(1, 'f'))...)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Contains(got, onStream(0, frame(7, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0))) || w.Stats().Answered != 1 {
		t.Errorf("%x, %v; %d answers", got, err, w.Stats().Answered)
	}
}

// unserved is a connection by HTTP/2 whose goroutine is the test.
func unserved(t *testing.T) *http2Conn {
	t.Helper()
	on := newHTTPConn(serve(t, newEcho()), transport.HTTP, acceptedEnd(t))
	return newHTTP2Conn(on, on.stream)
}

// Reading ends after the idle time, after the time for what has begun to come, whatever of it
// comes meanwhile, and at once where the client has yet to be told that the server leaves.
func TestWhenReadingByHTTP2Ends(t *testing.T) {
	c := unserved(t)
	armed := func(after time.Duration, what string) {
		t.Helper()
		before := time.Now()
		c.arm()
		if now := time.Now(); c.armed.Before(before.Add(after)) || c.armed.After(now.Add(after)) {
			t.Errorf("%s: it ends after %v, want %v", what, c.armed.Sub(before), after)
		}
	}
	armed(c.s.idleTime(), "nothing has begun")
	c.in = append(c.in, 0)
	armed(limits.HTTPHeaderTime, "a frame has begun")
	begun := c.armed
	c.in = append(c.in, 0)
	if c.arm(); c.armed != begun {
		t.Errorf("more of it has come: it ends %v later", c.armed.Sub(begun))
	}
	c.leaving.Store(true)
	armed(0, "the server leaves")
	c.told = true
	if c.arm(); c.armed != begun {
		t.Errorf("the client knows that the server leaves: it ends %v later", c.armed.Sub(begun))
	}
}

// The buffer of a connection by HTTP/2 grows with what has come of a frame, up to the longest one,
// and shrinks when all is taken.
func TestABufferByHTTP2GrowsWithItsFrame(t *testing.T) {
	c := unserved(t)
	size := len(c.small)
	for size < h2.FrameMax {
		if c.grow(); len(c.buf) != size {
			t.Errorf("one with room has %d octets, want %d", len(c.buf), size)
		}
		c.in = c.buf
		c.in[len(c.in)-1] = 'x'
		size = min(4*size, h2.FrameMax)
		if c.grow(); len(c.buf) != size || c.in[len(c.in)-1] != 'x' || &c.in[0] != &c.buf[0] {
			t.Errorf("a full one becomes one of %d octets, want %d", len(c.buf), size)
		}
	}
	c.in = c.buf[7:9]
	c.in[0], c.in[1] = 'y', 'z'
	if c.compact(); string(c.in) != "yz" || &c.in[0] != &c.buf[0] || len(c.buf) != size {
		t.Errorf("%q is left, of %d octets", c.in, len(c.buf))
	}
	c.in = c.in[:0]
	if c.compact(); len(c.in) != 0 || len(c.buf) != len(c.small) {
		t.Errorf("with nothing left it has %d octets", len(c.buf))
	}
}

// A client by HTTP/2 that is silent is told once that the server leaves, and is not waited for
// any more then.
func TestASilentClientByHTTP2IsToldOnceOfTheEnd(t *testing.T) {
	c := unserved(t)
	c.leaving.Store(true)
	if !c.patient(os.ErrDeadlineExceeded) || !c.told {
		t.Errorf("it is told %v", c.told)
	}
	if c.patient(os.ErrDeadlineExceeded) {
		t.Error("it is told once more")
	}
}

// A client by HTTP/2 may name whom it asks by the field host alone (RFC 9113, section 8.3.1).
func TestTheAuthorityByHTTP2MayBeItsHost(t *testing.T) {
	h := &headed{echo: newEcho()}
	w := newWeb(t, h)
	w.SetDoH(doh.DefaultPaths(), []string{"host", ":authority"})
	c := w.begins()
	var head bytes.Buffer
	e := hpack.NewEncoder(&head)
	path := getURL("", ask(1, 'd'))
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", path}, {"host", "dns.example"}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
	}
	_, _ = c.Write(frame(frameHeaders, flagsWhole, head.Bytes()...))
	eventually(t, "the question came", func() bool { return h.headers() != nil })
	if got := fmt.Sprint(h.headers()); got != "[{host dns.example} {:authority dns.example}]" {
		t.Errorf("headers %s", got)
	}
}

// A request whose body has come whole and is no question is refused at once; one that is
// refused before its body has come is not, since clients often take that for a failure.
func TestWhenARequestByHTTP2IsRefused(t *testing.T) {
	const endStream = 1
	begin := onStream(0, frame(frameSettings, 0))
	head := frame(frameHeaders, endHeaders, requestHead(nil)...)
	for what, c := range map[string]struct {
		sent [][]byte
		dues int
	}{
		"the body is awaited":    {[][]byte{head}, 1},
		"a part of it is there":  {[][]byte{head, frame(0, 0, 'x')}, 1},
		"it is no question":      {[][]byte{head, frame(0, endStream, 'x')}, 0},
		"its end came by itself": {[][]byte{head, frame(0, 0, 'x'), frame(0, endStream)}, 0},
	} {
		u := unserved(t)
		u.in = slices.Concat(begin, slices.Concat(c.sent...))
		if err := u.takeAll(); err != nil || u.dues != c.dues {
			t.Errorf("%s: %v; %d requests have a time, want %d", what, err, u.dues, c.dues)
		}
	}
}

// What a client does wrong by HTTP/2 is counted for what it is, and as an offence.
func TestWhatIsWrongByHTTP2IsCounted(t *testing.T) {
	for kind, streams := range map[h2.Kind]uint64{h2.Reset: 0, h2.Refused: 1, h2.Broken: 0} {
		u := unserved(t)
		u.take(&h2.Event{Kind: kind})
		broken := uint64(0)
		if kind == h2.Broken {
			broken = 1
		}
		if got := u.s.http.streams.Load(); got != streams || u.s.limits.Get(limits.HTTPStream) != streams {
			t.Errorf("event %d: %d streams are counted, %d limits", kind, got, u.s.limits.Get(limits.HTTPStream))
		}
		if got := u.s.http.broken.Load(); got != broken || u.http.offences.Load() != 1 {
			t.Errorf("event %d: %d violations are counted, %d offences", kind, got, u.http.offences.Load())
		}
	}
}

// A connection by HTTP/2 ends by offences when these are many, and more than its requests.
func TestOffencesEndAConnectionByHTTP(t *testing.T) {
	for _, c := range []struct {
		offences, requests int64
		ends               bool
	}{{limits.HTTPOffences - 1, 0, false}, {limits.HTTPOffences, 0, true}, {limits.HTTPOffences, 2*limits.HTTPOffences + 1, true}, {limits.HTTPOffences, 2*limits.HTTPOffences + 2, false}} {
		u := unserved(t)
		u.http.offences.Store(c.offences)
		u.http.stream.requests.Store(c.requests)
		if u.http.offend(); u.http.stream.isClosed() != c.ends {
			t.Errorf("after %d offences and %d requests: it ends %v", c.offences+1, c.requests, u.http.stream.isClosed())
		}
	}
}
