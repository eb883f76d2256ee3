package doq

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A fork connects a client with one of some servers at a time, or with none.
type fork struct {
	at netip.AddrPort
	to atomic.Int32 // which of the servers; others: none
}

func forked(t *testing.T, servers ...netip.AddrPort) *fork {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	f := &fork{at: netip.MustParseAddrPort(front.LocalAddr().String())}
	var client atomic.Pointer[netip.AddrPort]
	var backs []*net.UDPConn
	for i, s := range servers {
		back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { back.Close() })
		backs = append(backs, back)
		go func() {
			for b := make([]byte, 2000); ; {
				n, err := back.Read(b)
				if err != nil {
					return
				}
				if int(f.to.Load()) == i {
					_, _ = front.WriteToUDPAddrPort(b[:n], *client.Load())
				}
			}
		}()
	}
	go func() {
		for b := make([]byte, 2000); ; {
			n, from, err := front.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			client.Store(&from)
			if to := int(f.to.Load()); to < len(backs) {
				_, _ = backs[to].Write(b[:n])
			}
		}
	}()
	return f
}

// A client whose server dies when the handshake is complete for the client and not for the
// server sends nothing but packets of the handshake until that is confirmed. Another server
// dropped them, and the client's questions had neither an answer nor an end until the
// connection was idle for too long.
func TestTheClientOfAnUnconfirmedHandshakeIsToldThatItIsLost(t *testing.T) {
	first, _, _ := echoServer(t)
	second, _, _ := echoServer(t)
	f := forked(t, first, second)
	conf := clientConfig(nil)
	conf.VerifyConnection = func(tls.ConnectionState) error { // what follows does not reach the server
		f.to.Store(9)
		return nil
	}
	pc, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, pc, f.at, conf, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	st, err := c.Ask(ctx, framed([]byte("question")), time.Now().Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // the question leaves, and is lost
	f.to.Store(1)
	begun := time.Now()
	if msg, err := st.Read(nil, time.Now().Add(15*time.Second)); err == nil || !strings.Contains(err.Error(), "knows nothing of this connection") {
		t.Errorf("after %v: %q, %v", time.Since(begun), msg, err)
	}
}
