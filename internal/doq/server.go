package doq

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"kresd/internal/limits"
)

// Options are what a Listener needs of its surroundings.
type Options struct {
	// TLS are the settings of the server's side, for Protocol.
	TLS *tls.Config
	// Key derives keys, by what they are for, of what all processes have in common
	// that clients may reach at one address: each then knows the addresses that
	// another has verified, and tells a client at once that its connection is lost.
	Key func(label string) [32]byte
	// Dir is a directory that these processes have in common, to pass on packets of
	// each other's connections; it is made if it is not there. "": there is only one.
	Dir string
	// Go starts a goroutine.
	Go func(name string, fn func())
	// Idle is how long a connection is kept on which nothing comes, Handshake how long
	// a client may take to be there. They are asked for each client.
	Idle, Handshake func() time.Duration
	// Questions is how many a client may have under way. It is asked for each client.
	Questions func() int
	// Client is whom a verified address is counted for, the zero Addr for nobody
	// (limits.Shares). Nil: all addresses are nobody's.
	Client func(netip.Addr) netip.Addr
	// Turn waits for the turn to compute a handshake, no longer than its connection
	// lives. It gives the turn back when give is called, which may happen more than
	// once, or by itself after a while. Nil: nobody waits.
	Turn func(ctx context.Context) (give func(), err error)
	// Failed is told of each client that was not there in time, or not at all.
	Failed func()
	// Limits may be nil.
	Limits *limits.Counters
}

// A Listener takes clients' connections in.
type Listener struct {
	o         Options
	transport *quic.Transport
	listener  *quic.Listener
	shaking   *limits.Shares // handshakes under way
}

// errBusy refuses a connection.
var errBusy = errors.New("too many handshakes")

// Listen serves a UDP socket, which it takes over, whatever it returns.
func Listen(conn *net.UDPConn, o Options) (*Listener, error) {
	quieten()
	r, err := newRelay(conn, o.Dir)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	l := &Listener{o: o, shaking: limits.NewShares(limits.QUICHandshakes)}
	reset, token := quic.StatelessResetKey(o.Key("quic stateless reset")), quic.TokenGeneratorKey(o.Key("quic token"))
	l.transport = &quic.Transport{
		Conn:                  r,
		ConnectionIDGenerator: &idGenerator{r.tag},
		StatelessResetKey:     &reset,
		TokenGeneratorKey:     &token,
		VerifySourceAddress:   func(net.Addr) bool { return l.shaking.Taken() >= limits.QUICUnverified },
		ConnContext:           l.admit,
	}
	conf := o.TLS.Clone()
	conf.MinVersion = tls.VersionTLS13
	l.inTurn(conf)
	l.listener, err = l.transport.Listen(conf, &quic.Config{GetConfigForClient: l.config})
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	if r.in != nil {
		o.Go("quic relay", r.take)
	}
	return l, nil
}

// config are the settings for one client. What it may have on its way at a time is
// what its questions need, and little more.
func (l *Listener) config(*quic.ClientInfo) (*quic.Config, error) {
	return &quic.Config{
		HandshakeIdleTimeout:           l.o.Handshake() / 2, // all of the handshake may take twice that
		MaxIdleTimeout:                 l.o.Idle(),
		MaxIncomingStreams:             int64(l.o.Questions()),
		MaxIncomingUniStreams:          -1,
		InitialStreamReceiveWindow:     limits.QUICStreamWindow,
		MaxStreamReceiveWindow:         maxFramed,
		InitialConnectionReceiveWindow: limits.QUICConnWindow,
		MaxConnectionReceiveWindow:     limits.QUICConnWindow,
		DisablePathMTUDiscovery:        true,
	}, nil
}

// attempt is the key of the context under which a handshake is counted.
type attempt struct{}

// admit counts a handshake until it is complete or its connection ended.
func (l *Listener) admit(ctx context.Context, who *quic.ClientInfo) (context.Context, error) {
	client := l.client(who)
	if !l.shaking.Take(client) {
		l.o.Limits.Hit(limits.QUIC)
		return nil, errBusy
	}
	over := sync.OnceFunc(func() { l.shaking.Give(client) })
	complete := &atomic.Bool{}
	context.AfterFunc(ctx, func() {
		over()
		if !complete.Load() {
			l.o.Failed()
		}
	})
	return context.WithValue(ctx, attempt{}, func() { complete.Store(true); over() }), nil
}

// client is whom a handshake is counted for: nobody while the address may be forged, for
// then it would take what is another's.
func (l *Listener) client(who *quic.ClientInfo) netip.Addr {
	if !who.AddrVerified || l.o.Client == nil {
		return netip.Addr{}
	}
	return l.o.Client(addrOf(who.RemoteAddr).Addr())
}

// inTurn has handshakes computed in their turn, from when the client's hello is there
// whole until all that answers it is made, or the handshake has failed. (TLS asks then
// whether the connection is to the server's liking, whatever the client has shown.)
func (l *Listener) inTurn(conf *tls.Config) {
	if l.o.Turn == nil {
		return
	}
	plain := conf.Clone()
	plain.GetConfigForClient = nil
	conf.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		give, err := l.o.Turn(hello.Context())
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(hello.Context(), give) // which ends with the handshake
		own := plain.Clone()
		own.VerifyConnection = func(tls.ConnectionState) error { stop(); give(); return nil }
		return own, nil
	}
}

// Accept waits for a client that has completed its handshake. It fails when ctx ends
// or the listener is closed.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	c, err := l.listener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	if complete, ok := c.Context().Value(attempt{}).(func()); ok {
		complete()
	}
	return &Conn{c}, nil
}

// Close ends all connections at once, and closes the socket.
func (l *Listener) Close() {
	_ = l.listener.Close()
	_ = l.transport.Close()
	_ = l.transport.Conn.Close()
}

// A Conn is a client's connection.
type Conn struct{ c *quic.Conn }

// Remote is the client's address.
func (c *Conn) Remote() netip.AddrPort { return addrOf(c.c.RemoteAddr()) }

// Local is the address that the client has asked.
func (c *Conn) Local() netip.AddrPort { return addrOf(c.c.LocalAddr()) }

// Resumed tells whether the client has resumed an earlier session.
func (c *Conn) Resumed() bool { return c.c.ConnectionState().TLS.DidResume }

// Next waits for the next stream. It fails when ctx ends or the connection has ended.
func (c *Conn) Next(ctx context.Context) (*Stream, error) {
	s, err := c.c.AcceptStream(ctx)
	if err != nil {
		return nil, plain(err)
	}
	return &Stream{s: s}, nil
}

// Ended is closed when the connection has ended.
func (c *Conn) Ended() <-chan struct{} { return c.c.Context().Done() }

// Close ends the connection; what is under way is lost.
func (c *Conn) Close(why Code) { _ = c.c.CloseWithError(quic.ApplicationErrorCode(why), "") }
