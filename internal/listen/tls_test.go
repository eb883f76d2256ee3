package listen

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// pieces is a connection on which octets come in pieces of given sizes, and after
// them nothing any more.
type pieces struct {
	accepted
	all   []byte
	sizes []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.all) == 0 {
		return 0, io.EOF
	}
	n := min(len(b), len(p.all))
	if len(p.sizes) > 0 {
		n = min(n, 1+int(p.sizes[0]))
		p.sizes = p.sizes[1:]
	}
	n = copy(b[:n], p.all)
	p.all = p.all[n:]
	return n, nil
}

// record is one of TLS with n octets in it.
func record(n int) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(n)), bytes.Repeat([]byte{byte(n)}, n)...)
}

func FuzzRecords(f *testing.F) {
	several := bytes.Join([][]byte{record(40), record(0), record(2000), record(1)}, nil)
	f.Add(several, []byte{0, 1, 2, 3, 255, 255}, uint16(512))
	f.Add(several[:len(several)-1], []byte{}, uint16(5))
	f.Add([]byte{1, 2, 3}, []byte{0}, uint16(1))
	f.Fuzz(func(t *testing.T, stream, sizes []byte, room uint16) {
		r := newRecords(&pieces{all: stream, sizes: sizes})
		b := make([]byte, int(room)+1)
		var got []byte
		left := 0
		for {
			whole := r.more()
			n, err := r.Read(b)
			if err != nil {
				break
			}
			if left == 0 {
				head := stream[len(got):]
				if len(head) < recordHeader {
					t.Fatalf("%d octets of a header were given on", n)
				}
				left = recordLen(head)
			}
			if n == 0 || n > left || whole && n != min(left, len(b)) {
				t.Fatalf("%d octets of a record with %d left, whole %v", n, left, whole)
			}
			left -= n
			got = append(got, b[:n]...)
		}
		if !bytes.HasPrefix(stream, got) || len(stream)-len(got) >= recordHeader {
			t.Errorf("of %d octets %d were given on", len(stream), len(got))
		}
	})
}

// What the system has no room for at once is written when it has, behind the rest: all of it is
// told to have been written, and all of it comes.
func TestRecordsAreWrittenWhole(t *testing.T) {
	nc, client := atBothEnds(t)
	_ = errors.Join(client.SetReadBuffer(64<<10), nc.(*net.TCPConn).SetWriteBuffer(64<<10))
	came := make(chan int64, 1)
	r := newRecords(nc)
	waited := 0
	r.waits = func() {
		waited++
		go func() {
			n, _ := io.Copy(io.Discard, client)
			came <- n
		}()
	}
	r.goesOn = func() error { return nil }
	const some, rest = 100, 1 << 20
	if n, err := r.Write(make([]byte, some)); n != some || err != nil || waited != 0 {
		t.Errorf("%d of %d octets were written, %v; the client was waited for %d times", n, some, err, waited)
	}
	if n, err := r.Write(make([]byte, rest)); n != rest || err != nil || waited != 1 {
		t.Errorf("%d of %d octets were written, %v; the client was waited for %d times", n, rest, err, waited)
	}
	nc.Close()
	if n := comes(t, "the end", came); n != some+rest {
		t.Errorf("%d of %d octets came", n, some+rest)
	}
}

// A gatherer is the client's end of a connection that sends what was written to it
// when it is told, and counts the records that it reads.
type gatherer struct {
	net.Conn
	out  bytes.Buffer
	hold bool
	in   []byte
	seen int
}

func (g *gatherer) Write(b []byte) (int, error) {
	if g.hold {
		return g.out.Write(b)
	}
	return g.Conn.Write(b)
}

func (g *gatherer) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	for g.in = append(g.in, b[:n]...); len(g.in) >= recordHeader && len(g.in) >= recordLen(g.in); g.seen++ {
		g.in = g.in[recordLen(g.in):]
	}
	return n, err
}

// send lets go what was held back.
func (g *gatherer) send(t *testing.T) {
	t.Helper()
	g.hold = false
	if _, err := g.Conn.Write(g.out.Bytes()); err != nil {
		t.Fatal(err)
	}
	g.out.Reset()
}

// serveTLS is a server and where it serves by TLS.
func serveTLS(t *testing.T, h Handler) (s *Server, at netip.AddrPort, client *tls.Config) {
	t.Helper()
	server, client := encrypted(t)
	s = serveKinds(t, h, server)
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.TLS)); err != nil {
		t.Fatal(err)
	}
	return s, s.Endpoints()[0].Addr, client
}

func TestQueriesThatCameTogetherByTLSAreAnsweredTogether(t *testing.T) {
	_, at, conf := serveTLS(t, newEcho())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conf.MaxVersion = version
		g := &gatherer{Conn: tcpClient(t, at)}
		c := tls.Client(g, conf)
		sendFrames(t, c, ask(0, 'f'))
		readFrame(t, c)
		before := g.seen
		g.hold = true
		for i := range 5 {
			sendFrames(t, c, ask(uint16(i), 'f')) // a record each
		}
		g.send(t)
		for i := range 5 {
			if got := id(readFrame(t, c)); int(got) != i {
				t.Errorf("answer %d has ID %d", i, got)
			}
		}
		if n := g.seen - before; n != 1 {
			t.Errorf("TLS %x: five answers came in %d records", version, n)
		}
	}
}

// What has come of a further query does not hold an answer back.
func TestHalfARecordHoldsNothingBack(t *testing.T) {
	_, at, conf := serveTLS(t, newEcho())
	g := &gatherer{Conn: tcpClient(t, at)}
	c := tls.Client(g, conf)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	for i, part := range []int{1, recordHeader, 100} {
		g.hold = true
		sendFrames(t, c, ask(uint16(i), 'f'))
		cut := g.out.Len() + part
		sendFrames(t, c, ask(uint16(i)+100, 'f', make([]byte, 3000)...))
		rest := bytes.Clone(g.out.Bytes()[cut:])
		g.out.Truncate(cut)
		g.send(t)
		if got := id(readFrame(t, c)); int(got) != i {
			t.Errorf("answer has ID %d, want %d", got, i)
		}
		g.out.Write(rest)
		g.send(t)
		if got := id(readFrame(t, c)); int(got) != i+100 {
			t.Errorf("answer has ID %d, want %d", got, i+100)
		}
	}
}

// Who does not speak, or stops in the middle of a handshake, keeps nobody else from
// one, and goes when his time is over.
func TestSlowHandshakes(t *testing.T) {
	s, at, conf := serveTLS(t, newEcho())
	s.SetTLSHandshake(time.Hour)
	hello := helloOf(t, conf)
	var slow []*net.TCPConn
	for i := range 30 {
		c := tcpClient(t, at)
		if _, err := c.Write(hello[:i*len(hello)/29]); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	eventually(t, "all are connected", func() bool { return s.Stats().Conns == len(slow) && s.Stats().HandshakesOpen == len(slow) })
	c := tlsClient(t, at, conf)
	sendFrames(t, c, ask(1, 'f'))
	if got := id(readFrame(t, c)); got != 1 {
		t.Errorf("answer has ID %d", got)
	}
	s.SetTLSHandshake(time.Millisecond)
	late := tcpClient(t, at)
	if _, err := late.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a client that says nothing: %v, want %v", err, io.EOF)
	}
	eventually(t, "it is counted", func() bool { return s.limits.Get(limits.TLSTime) == 1 })
	if st := s.Stats(); st.Handshakes != 1 || st.HandshakesFailed != 1 || st.Resumed != 0 {
		t.Errorf("stats %+v, want one handshake done and one failed", st)
	}
	for _, c := range slow {
		c.Close()
	}
	eventually(t, "all are gone", func() bool {
		return s.Stats().HandshakesFailed == 31 && s.Stats().Conns == 1 && s.Stats().HandshakesOpen == 0
	})
}

// helloOf is what a client says first.
func helloOf(t *testing.T, conf *tls.Config) []byte {
	t.Helper()
	here, there := net.Pipe()
	here.Close()
	g := &gatherer{Conn: there, hold: true}
	if tls.Client(g, conf).Handshake() == nil {
		t.Fatal("a handshake with nobody")
	}
	return g.out.Bytes()
}

func TestVersionsAndProtocols(t *testing.T) {
	_, at, conf := serveTLS(t, newEcho())
	for name, tc := range map[string]struct {
		change func(*tls.Config)
		alpn   string
		ok     bool
	}{
		"1.3":           {func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, "", true},
		"1.2":           {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "", true},
		"1.1":           {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "", false},
		"dot":           {func(c *tls.Config) { c.NextProtos = []string{"h2", "dot"} }, "dot", true},
		"another alone": {func(c *tls.Config) { c.NextProtos = []string{"smtp"} }, "", false},
	} {
		with := conf.Clone()
		tc.change(with)
		c := tls.Client(tcpClient(t, at), with)
		err := c.Handshake()
		if (err == nil) != tc.ok || err == nil && c.ConnectionState().NegotiatedProtocol != tc.alpn {
			t.Errorf("%s: %v, protocol %q", name, err, c.ConnectionState().NegotiatedProtocol)
		}
	}
}
