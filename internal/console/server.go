package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/safe"
)

// Options of a server. Eval is needed.
type Options struct {
	Eval  func() Evaluator // for a new connection
	Quiet bool
	// Identity is told to programs.
	Identity Identity
	// Record is told of each command and its result, for accountability; it
	// must not block. Binary connections are not recorded.
	Record func(cmd, out string, isErr bool)
	// Reloads are what programs may ask for; nil: nothing.
	Reloads Reloads
	// Protocols take over connections that send their name as a line.
	Protocols map[string]Protocol
	Log       *logging.Logger
	// Limits count the limits that were hit; nil counts nothing.
	Limits *limits.Counters
}

// A Server serves a control socket, and others beside it.
type Server struct {
	Options
	tasks  safe.Group
	ctx    context.Context
	cancel context.CancelFunc

	lastJSON atomic.Pointer[string] // see frames

	mu        sync.Mutex
	listeners []net.Listener
	places    map[*place]bool
	clients   int // of these
}

// Serve starts to serve a listening socket, which it closes in Close.
func Serve(l net.Listener, o Options) *Server {
	s := &Server{Options: o, places: map[*place]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.tasks.OnPanic = func(p *safe.Panic) { s.Log.Error(p.Error(), "stack", logging.Stack(p.Stack)) }
	s.Accept(l)
	return s
}

// Accept serves a further listening socket under the same limits, until Close, or
// until the caller closes it; connections that it brought go on then.
func (s *Server) Accept(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		l.Close()
		return
	}
	s.listeners = append(s.listeners, l)
	s.tasks.Go("console accept", func() { s.accept(l) })
}

// Close ends the server and all its connections. The socket's file is the
// caller's to remove, before or after.
func (s *Server) Close() {
	s.cancel()
	s.mu.Lock()
	for _, l := range s.listeners {
		l.Close()
	}
	for p := range s.places {
		p.Close()
	}
	s.mu.Unlock()
}

func (s *Server) accept(l net.Listener) {
	pause := limits.AcceptBackoffMin
	for s.ctx.Err() == nil {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			s.forget(l)
			return
		}
		if err != nil {
			select { // out of descriptors, most likely: some will come back
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			pause = min(2*pause, limits.AcceptBackoffMax)
			continue
		}
		pause = limits.AcceptBackoffMin
		p := newPlace(conn)
		client, ok := s.admit(p)
		if !ok {
			s.Limits.Hit(limits.Console)
			conn.Close()
			continue
		}
		s.tasks.Go("console client", func() {
			defer s.leave(p)
			s.serve(p, client)
		})
	}
}

// forget takes a listener that is closed out of the list.
func (s *Server) forget(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = slices.DeleteFunc(s.listeners, func(other net.Listener) bool { return other == l })
}

// admit finds a place for a connection: that of a console client, or else only
// one for a relay. Other workers' map() must get through when all places of
// clients are taken.
func (s *Server) admit(p *place) (client, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.places) >= limits.ConsoleClients+limits.ConsoleRelays || s.ctx.Err() != nil {
		return false, false
	}
	s.places[p] = true
	return s.seat(p), true
}

// seat makes a connection a client if there is room. The caller has the lock.
func (s *Server) seat(p *place) bool {
	if s.clients >= limits.ConsoleClients {
		return false
	}
	p.client = true
	p.seated()
	s.clients++
	return true
}

// displace gives a connection the place of the client that is silent for longest, if
// there is one for which no command may be running. That one is told. Where many come at
// once each waits for its turn, so that who was let in has time to type.
func (s *Server) displace(ctx context.Context, p *place) bool {
	for end := time.Now().Add(limits.ConsoleSeat); ; {
		longest, seated := s.exchange(p)
		if longest != nil {
			_ = write(longest, "error: another client wants this place, and nothing was typed here for a while\n")
			longest.Close()
		}
		if seated || time.Now().After(end) {
			return seated
		}
		select {
		case <-time.After(limits.ConsoleSeatLook):
		case <-ctx.Done():
			return false
		}
	}
}

func (s *Server) exchange(p *place) (longest *place, seated bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	quiet := limits.ConsoleTenure
	for other := range s.places {
		if d := other.silent(); other.client && d > quiet {
			longest, quiet = other, d
		}
	}
	if longest != nil && s.clients >= limits.ConsoleClients {
		longest.client = false
		s.clients--
	} else {
		longest = nil
	}
	return longest, s.seat(p)
}

// release gives a client's place back, once.
func (s *Server) release(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.client {
		s.clients--
		p.client = false
	}
}

func (s *Server) leave(p *place) {
	s.release(p)
	s.mu.Lock()
	delete(s.places, p)
	s.mu.Unlock()
	p.Close()
}

func (s *Server) serve(p *place, client bool) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	se := &session{eval: s.Eval(), quiet: s.Quiet, record: s.Record, reloads: s.Reloads, out: p, errOut: p, protocols: s.Protocols,
		tasks: &s.tasks, hungUp: func() bool { return hungUp(p.Conn) }}
	in := newInput(ctx, &s.tasks, p)
	var err error
	if !client {
		if err = in.prove(ctx, se); errors.Is(err, errTooMany) {
			client = s.displace(ctx, p)
		}
	}
	if client {
		se.framed = &frames{s: se, tasks: &s.tasks, identity: s.Identity, lastJSON: &s.lastJSON}
		if err = se.greet(); err == nil {
			err = in.serve(ctx, se)
		}
	}
	switch {
	case errors.Is(err, errSwitched):
		if !se.speaksFrames {
			s.release(p) // to a relay, which has a place of its own
		}
		in.rest = se.pending
		se.switched(ctx, in, p)
	case errors.Is(err, errTooLong), errors.Is(err, errTooMany):
		s.Limits.Hit(limits.Console)
		_ = write(p, "error: "+err.Error()+"\n")
	}
}

var errTooMany = errors.New("too many clients on this console")

// prove waits for the name of a protocol, and for nothing else.
func (in *input) prove(ctx context.Context, s *session) error {
	limit := time.NewTimer(limits.ConsoleProbation)
	defer limit.Stop()
	for {
		select {
		case data, ok := <-in.chunks:
			if !ok {
				return io.EOF
			}
			s.pending = append(s.pending, data...)
			if bytes.IndexByte(s.pending, '\n') < 0 && len(s.pending) < 100 {
				continue
			}
			if s.command() && s.switched != nil {
				return errSwitched
			}
			return errTooMany
		case <-limit.C:
			return errTooMany
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hungUp tells whether the other side has closed a connection, and not only ended what it
// sends, as nc -N does, which waits for results.
func hungUp(conn net.Conn) (gone bool) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		_, _ = unix.Poll(p, 0)
		gone = p[0].Revents&unix.POLLHUP != 0
	})
	return gone && err == nil
}

// RecordText writes commands and results to w as a client saw them: the
// command's lines, then the result.
func RecordText(w io.Writer) func(cmd, out string, isErr bool) {
	return func(cmd, out string, _ bool) {
		if out != "" && out[len(out)-1] != '\n' {
			out += "\n"
		}
		_, _ = io.WriteString(w, cmd+"\n"+out)
	}
}
