package test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/doq"
	"kresd/internal/proctest"
)

// scripted is a server of DNS over TLS that does with each question what it was told to.
type scripted struct {
	netip.AddrPort
	conns, questions atomic.Int32

	listener net.Listener
	serving  sync.WaitGroup
	mu       sync.Mutex
	open     []net.Conn
}

// An act is given each question on a connection, without its length, and tells whether to
// go on with that connection. raw is what TLS is spoken over.
type act func(c *tls.Conn, raw *net.TCPConn, q []byte) bool

// scriptTLS starts one until the end of the test.
func scriptTLS(t *testing.T, cert *proctest.Certificate, p act) *scripted {
	t.Helper()
	s := &scripted{AddrPort: proctest.FreePort(t)}
	var err error
	if s.listener, err = net.Listen("tcp", s.AddrPort.String()); err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert.TLS}, NextProtos: []string{"dot"}}
	s.serving.Go(func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			s.mu.Lock()
			s.open = append(s.open, c)
			s.mu.Unlock()
			s.serving.Go(func() {
				defer c.Close()
				s.serve(tls.Server(c, config), c.(*net.TCPConn), p)
			})
		}
	})
	t.Cleanup(func() {
		s.listener.Close()
		s.mu.Lock()
		for _, c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		s.serving.Wait()
	})
	return s
}

func (s *scripted) serve(c *tls.Conn, raw *net.TCPConn, p act) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		s.questions.Add(1)
		if !p(c, raw, q) {
			return
		}
	}
}

// toldTo is the answer to a question, behind its length: one address.
func toldTo(q []byte) []byte {
	m, r := new(dns.Msg), new(dns.Msg)
	if m.Unpack(q) != nil {
		return nil
	}
	r.SetReply(m)
	rr, _ := dns.NewRR(m.Question[0].Name + " 300 A " + toldByTLS)
	if r.RecursionAvailable = true; m.Question[0].Qtype == dns.TypeA {
		r.Answer = []dns.RR{rr}
	}
	r.SetEdns0(1232, true)
	b, _ := r.Pack()
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// answerAll answers as it should be.
func answerAll(c *tls.Conn, _ *net.TCPConn, q []byte) bool {
	_, err := c.Write(toldTo(q))
	return err == nil
}

// scriptHTTPS starts a server of DNS over HTTPS that does with each question what it was
// told to, until the end of the test, and is where it is.
func scriptHTTPS(t *testing.T, cert *proctest.Certificate, act func(w http.ResponseWriter, q []byte)) netip.AddrPort {
	t.Helper()
	at := proctest.FreePort(t)
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert.TLS}}, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q, _ := io.ReadAll(r.Body)
			act(w, q)
		}),
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.ServeTLS(l, "", "") })
	t.Cleanup(func() { s.Close(); serving.Wait() })
	return at
}

// scriptQUIC is scriptHTTPS for DNS over QUIC.
func scriptQUIC(t *testing.T, cert *proctest.Certificate, act func(c *doq.Conn, st *doq.Stream, q []byte)) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	wait := func() time.Duration { return 10 * time.Second }
	l, err := doq.Listen(conn, doq.Options{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert.TLS}, NextProtos: []string{doq.Protocol}},
		Key: func(string) [32]byte { return [32]byte{} }, Idle: wait, Handshake: wait, Failed: func(netip.Addr) {}, Go: func(string, func()) {}, Questions: func() int { return 100 },
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
			go func() {
				for {
					st, err := c.Next(context.Background())
					if err != nil {
						return
					}
					go func() {
						if q, err := st.Read(nil, time.Now().Add(10*time.Second)); err == nil {
							act(c, st, q)
						}
					}()
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}
