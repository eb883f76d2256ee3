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
	// Barred tells whether a client (Options.Client) is refused; it is asked about those
	// whose addresses are verified. Nil: nobody is.
	Barred func(client netip.Addr) bool
	// Failed is told of each client that was not there in time, or not at all; the zero
	// Addr where its address may be forged. Nil: nobody is.
	Failed func(client netip.Addr)
	// Limits may be nil.
	Limits *limits.Counters
}

// A Listener takes clients' connections in.
type Listener struct {
	o         Options
	relay     *relay
	transport *quic.Transport
	listener  *quic.Listener
	shaking   *limits.Shares // handshakes under way
}

// What refuses a connection.
var (
	errBusy   = errors.New("too many handshakes")
	errBarred = errors.New("a client that is not taken in")
)

// Listen serves a UDP socket, which it takes over, whatever it returns.
func Listen(conn *net.UDPConn, o Options) (*Listener, error) {
	l, err := listen(newJunction(conn), o)
	if err != nil {
		_ = conn.Close()
	}
	return l, err
}

// Renew has another Listener, with other keys, serve who comes to the socket from now on.
// This one serves on those who have come to it, until it is closed. On an error it stays as
// it was.
func (l *Listener) Renew(o Options) (*Listener, error) { return listen(l.relay.j, o) }

// Pause has nobody in this process read from the socket, where others do; what they pass on
// is taken in. Resume ends it.
func (l *Listener) Pause() { l.relay.j.appoint(nil) }

// Resume has the socket be read from again.
func (l *Listener) Resume() { l.relay.j.appoint(l.relay) }

// listen begins to read from a junction.
func listen(j *junction, o Options) (*Listener, error) {
	quieten()
	r, err := newRelay(j, o.Dir)
	if err != nil {
		return nil, err
	}
	l := &Listener{o: o, relay: r, shaking: limits.NewShares(limits.QUICHandshakes)}
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
	l.inTurn(conf)
	l.listener, err = l.transport.Listen(conf, &quic.Config{GetConfigForClient: l.config})
	if err != nil {
		_ = l.transport.Close()
		r.closeOwn()
		return nil, err
	}
	j.join(r)
	if r.in != nil {
		o.Go("quic relay", r.take)
	}
	j.appoint(r)
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
	if client.IsValid() && l.o.Barred != nil && l.o.Barred(client) {
		return nil, errBarred
	}
	if !l.shaking.Take(client) {
		l.o.Limits.Hit(limits.QUIC)
		return nil, errBusy
	}
	over := sync.OnceFunc(func() { l.shaking.Give(client) })
	complete := &atomic.Bool{}
	context.AfterFunc(ctx, func() {
		if !complete.Load() && l.o.Failed != nil {
			l.o.Failed(client)
		}
		over()
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

// Accept waits for a client that has completed its handshake, which is under way until
// Taken says that the client is known. It fails when ctx ends or the listener is closed.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	c, err := l.listener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	return &Conn{c}, nil
}

// Quiet tells whether no handshake is under way and no packet waits to be read.
func (l *Listener) Quiet() bool {
	return l.shaking.Taken() == 0 && len(l.relay.came) == 0 && !l.relay.waiting()
}

// Close ends all connections at once, and closes the socket unless another Listener has it.
func (l *Listener) Close() {
	_ = l.listener.Close()
	_ = l.transport.Close()
	_ = l.relay.Close()
}

// A Conn is a client's connection.
type Conn struct{ c *quic.Conn }

// Taken ends the handshake: whoever accepted the connection knows it. One that ends before
// counts as failed.
func (c *Conn) Taken() {
	c.c.Context().Value(attempt{}).(func())() // admit has put it there
}

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
