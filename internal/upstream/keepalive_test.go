package upstream

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
	"kresd/internal/proctest"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// withOption is a message with one EDNS option.
func withOption(msg []byte, code uint16, value []byte) []byte {
	binary.BigEndian.PutUint16(msg[10:], 1)
	return wire.AppendOPT(msg, 1232, 0, false, wire.AppendOption(nil, code, value))
}

// optionsIn are the EDNS options of a question.
func optionsIn(t *testing.T, q []byte) []byte {
	m, err := wire.Parse(q)
	if err != nil {
		t.Error(err)
		return nil
	}
	return m.Options
}

// A connection is kept as long as the server says that it keeps it (RFC 7828), which it
// says because the first question asks; not at all, if it keeps none; and never longer
// than our limit.
func TestConnectionsAreKeptAsLongAsServersSay(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	for what, c := range map[string]struct {
		value    []byte
		tls      bool
		min, max time.Duration // by the time that the server waits for a third question
	}{
		"shortly":              {[]byte{0, 3}, false, 250 * time.Millisecond, 8 * time.Second},
		"shortly, by TLS":      {[]byte{0, 3}, true, 250 * time.Millisecond, 8 * time.Second},
		"not at all":           {[]byte{0, 0}, false, 0, 0},
		"not at all, by TLS":   {[]byte{0, 0}, true, 0, 0},
		"of no length":         {nil, false, 500 * time.Millisecond, limits.UpstreamIdleMost},
		"of another length":    {[]byte{0}, false, 500 * time.Millisecond, limits.UpstreamIdleMost},
		"for almost two hours": {[]byte{0xff, 0xff}, false, 500 * time.Millisecond, limits.UpstreamIdleMost},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ended := make(chan time.Duration, 1)
			serve := func(s *testServer, conn net.Conn) {
				for n := 0; ; n++ {
					q := s.readFrame(conn)
					if q == nil {
						return
					}
					if _, has := wire.Option(optionsIn(t, q), wire.OptionKeepalive); has != (n == 0) {
						t.Errorf("question %d has the option: %v", n, has)
					}
					writeFrame(conn, withOption(reply(q, truth), wire.OptionKeepalive, c.value))
					if n == 1 {
						begun := time.Now()
						s.readFrame(conn)
						ended <- time.Since(begun)
						return
					}
					if c.max == 0 { // one question is all that such a server gets
						s.readFrame(conn)
						ended <- 0
						return
					}
				}
			}
			to := zonecut.Endpoint{}
			if c.tls {
				serve = overTLS(cert, serve)
				to.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{cert.Hash}})
			}
			s := (&testServer{onTCP: serve}).start(t, "127.0.0.1")
			to.Addr = s.addr
			e := newExchanger(t, Config{})
			for i := range 2 {
				x := question(t, to.Addr, itoa(i)+".example.")
				x.Peer, x.TCP = to.Peer, true
				r, err := e.Exchange(background, x)
				address(t, r, err)
			}
			patience := 20 * time.Second
			if c.max == limits.UpstreamIdleMost {
				patience = c.min
			}
			select {
			case got := <-ended:
				if got < c.min || got > c.max {
					t.Errorf("it was kept for %v, want %v to %v", got, c.min, c.max)
				}
			case <-time.After(patience):
				if c.max < limits.UpstreamIdleMost {
					t.Errorf("it is still open")
				}
			}
		})
	}
}

// How long a server keeps a connection is believed up to a limit.
func TestNoConnectionIsKeptForEver(t *testing.T) {
	s := newStream(&playedConn{}, zonecut.Do53)
	if s.keep(time.Hour); s.idle != limits.UpstreamIdleMost {
		t.Errorf("it is kept for %v", s.idle)
	}
}

// By QUIC the option must not come, and ends the connection (RFC 9250, sections 4.3.3 and
// 5.5.2). It is not sent either.
func TestNoKeepaliveByQUIC(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	told := make(chan error, 1)
	s := startQUIC(t, cert, func(c *doq.Conn, st *doq.Stream, q []byte) {
		if _, has := wire.Option(optionsIn(t, q), wire.OptionKeepalive); has {
			t.Error("a question has the option")
		}
		sendQUIC(st, withOption(reply(q, truth), wire.OptionKeepalive, []byte{0, 3}))
		_, err := c.Next(background)
		told <- err
	})
	_, _, err := askQUIC(t, newExchanger(t, Config{}), s, cert.Hash, "www.example.")
	wantErr(t, err, ErrMalformed)
	if code, _ := doq.CodeOf(<-told); code != doq.ProtocolError {
		t.Errorf("the server was told %v", code)
	}
}
