package upstream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/doq"
	"kresd/internal/proctest"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// A quicServer answers by QUIC as serve says, which gets each stream and the question
// on it.
type quicServer struct {
	addr      netip.AddrPort
	questions atomic.Int32
	conns     atomic.Int32
	ids       atomic.Int32 // questions with another ID than 0
}

func startQUIC(t *testing.T, cert *proctest.Certificate, serve func(c *doq.Conn, st *doq.Stream, q []byte)) *quicServer {
	t.Helper()
	return limitedQUIC(t, cert, 100, serve)
}

// limitedQUIC allows so many questions at a time.
func limitedQUIC(t *testing.T, cert *proctest.Certificate, questions int, serve func(c *doq.Conn, st *doq.Stream, q []byte)) *quicServer {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &quicServer{addr: netip.MustParseAddrPort(pc.LocalAddr().String())}
	wait := func() time.Duration { return 10 * time.Second }
	l, err := doq.Listen(pc, doq.Options{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert.TLS}, NextProtos: []string{doq.Protocol}},
		Key: func(string) [32]byte { return [32]byte{} }, Idle: wait, Handshake: wait, Failed: func(netip.Addr) {}, Go: func(string, func()) {}, Questions: func() int { return questions },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	go func() {
		for {
			c, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			c.Taken()
			s.conns.Add(1)
			go s.converse(c, serve)
		}
	}()
	return s
}

func (s *quicServer) converse(c *doq.Conn, serve func(*doq.Conn, *doq.Stream, []byte)) {
	for {
		st, err := c.Next(context.Background())
		if err != nil {
			return
		}
		go func() {
			q, err := st.Read(nil, time.Now().Add(10*time.Second))
			if err != nil {
				return
			}
			s.questions.Add(1)
			if q[0]|q[1] != 0 {
				s.ids.Add(1)
			}
			serve(c, st, q)
		}()
	}
}

// sendQUIC is an answer, whatever it is.
func sendQUIC(st *doq.Stream, msg []byte) {
	_ = st.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...), time.Now().Add(10*time.Second))
}

// truthQUIC answers as it should be.
func truthQUIC(_ *doq.Conn, st *doq.Stream, q []byte) { sendQUIC(st, reply(q, truth)) }

// askQUIC asks a server that has to have a certificate.
func askQUIC(t *testing.T, e *Exchanger, s *quicServer, pin zonecut.Pin, name string) (resolve.Reply, resolve.Exchange, error) {
	x := question(t, s.addr, name)
	x.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoQ, Pins: []zonecut.Pin{pin}})
	r, err := e.Exchange(background, x)
	return r, x, err
}

// Questions to one server share a connection and have the ID 0, and their answers come
// in any order.
func TestServersAreAskedByQUIC(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	const questions = 26
	var last sync.WaitGroup
	last.Add(questions)
	s := startQUIC(t, cert, func(_ *doq.Conn, st *doq.Stream, q []byte) {
		last.Done()
		last.Wait()
		sendQUIC(st, reply(q, "\xc0\x00\x02"+string(q[wire.HeaderLen+1])))
	})
	e := newExchanger(t, Config{})
	var wg sync.WaitGroup
	for i := range questions {
		wg.Go(func() {
			r, x, err := askQUIC(t, e, s, cert.Hash, string(rune('a'+i))+".example.")
			if err != nil || r.Msg.Answer[0].RData[3]|0x20 != byte('a'+i) || x.Budget.Sent() != 1 {
				t.Errorf("question %d: %+v, %v", i, r, err)
			}
		})
	}
	wg.Wait()
	if s.conns.Load() != 1 || s.ids.Load() != 0 {
		t.Errorf("%d connections, %d questions with an ID", s.conns.Load(), s.ids.Load())
	}
	if st := e.Stats(); st.QUIC != questions || st.Handshakes != 1 || st.UDP+st.TCP+st.TLS != 0 {
		t.Errorf("counted is %+v", st)
	}
}

// A server that takes a few questions at a time gets no more, and answers all.
func TestServersByQUICThatTakeFewQuestions(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	const few = 3
	var now, most atomic.Int32
	s := limitedQUIC(t, cert, few, func(c *doq.Conn, st *doq.Stream, q []byte) {
		for n := now.Add(1); n > most.Load(); {
			most.Store(n)
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		truthQUIC(c, st, q)
	})
	e := newExchanger(t, Config{})
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if r, _, err := askQUIC(t, e, s, cert.Hash, itoa(i)+".example."); err != nil || string(r.Msg.Answer[0].RData) != truth {
				t.Errorf("question %d: %+v, %v", i, r, err)
			}
		})
	}
	wg.Wait()
	if s.conns.Load() != 1 || most.Load() > few {
		t.Errorf("%d connections, %d questions at a time", s.conns.Load(), most.Load())
	}
}

// A server that does not prove who it is gets no question.
func TestAStrangerByQUICGetsNoQuestion(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	s := startQUIC(t, cert, truthQUIC)
	e := newExchanger(t, Config{Warn: func(string) {}})
	_, x, err := askQUIC(t, e, s, zonecut.Pin{1}, "www.example.")
	stranger, ok := errors.AsType[*resolve.Unauthenticated](err)
	if !ok || stranger.Server != x.Endpoint || !strings.Contains(stranger.Why, "the pin of its key is '"+cert.Pin) {
		t.Errorf("the failure is %v", err)
	}
	if s.questions.Load() != 0 || x.Budget.Sent() != 0 {
		t.Error("a question reached the server")
	}
	if st := e.Stats(); st.NoHandshake != 1 || st.Handshakes != 0 {
		t.Errorf("counted is %+v", st)
	}
}

// Where nobody speaks QUIC, that is the failure.
func TestNobodySpeaksQUIC(t *testing.T) {
	e := newExchanger(t, Config{})
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	_, _, err = askQUIC(t, e, &quicServer{addr: netip.MustParseAddrPort(pc.LocalAddr().String())}, zonecut.Pin{1}, "www.example.")
	wantErr(t, err, resolve.ErrTimeout)
}

// A server that closes after each answer is asked by new connections, which go on with
// its session; one that forgets a connection without a word costs a question no more
// than a new one.
func TestServersByQUICThatClose(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	s := startQUIC(t, cert, func(c *doq.Conn, st *doq.Stream, q []byte) {
		truthQUIC(c, st, q)
		time.Sleep(50 * time.Millisecond)
		c.Close(doq.NoError)
	})
	e := newExchanger(t, Config{})
	for i := range 4 {
		if r, _, err := askQUIC(t, e, s, cert.Hash, itoa(i)+".example."); address(t, r, err) != truth {
			t.Errorf("question %d", i)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if st := e.Stats(); st.Handshakes != 1 || st.Resumed != 3 {
		t.Errorf("counted is %+v", st)
	}
}

// What is no answer as it must be is not believed, and ends the connection.
func TestWrongAnswersByQUIC(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	for name, serve := range map[string]func(*doq.Conn, *doq.Stream, []byte){
		"an ID": func(_ *doq.Conn, st *doq.Stream, q []byte) {
			r := reply(q, truth)
			r[1] = 7
			sendQUIC(st, r)
		},
		"nothing":        func(_ *doq.Conn, st *doq.Stream, _ []byte) { st.Refuse(doq.InternalError) },
		"an empty one":   func(_ *doq.Conn, st *doq.Stream, _ []byte) { sendQUIC(st, nil) },
		"one octet":      func(_ *doq.Conn, st *doq.Stream, _ []byte) { sendQUIC(st, []byte{0}) },
		"the connection": func(c *doq.Conn, _ *doq.Stream, _ []byte) { c.Close(doq.ExcessiveLoad) },
		"two": func(_ *doq.Conn, st *doq.Stream, q []byte) {
			r := reply(q, truth)
			b := append(binary.BigEndian.AppendUint16(nil, uint16(len(r))), r...)
			_ = st.Write(append(b, b...), time.Now().Add(10*time.Second))
		},
	} {
		s := startQUIC(t, cert, serve)
		e := newExchanger(t, Config{})
		begun := time.Now()
		if r, _, err := askQUIC(t, e, s, cert.Hash, "www.example."); err == nil {
			t.Errorf("%s: %+v", name, r)
		} else if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("%s: known after %v: %v", name, took, err)
		}
	}
}
