package test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

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
