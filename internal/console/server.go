package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
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
	// Protocols take over connections that send their name as a line.
	Protocols map[string]Protocol
	Log       *logging.Logger
	// Limits count the limits that were hit; nil counts nothing.
	Limits *limits.Counters
}

// A Server serves one control socket.
type Server struct {
	Options
	listener net.Listener
	tasks    safe.Group
	ctx      context.Context
	cancel   context.CancelFunc

	mu      sync.Mutex
	conns   map[net.Conn]bool // true: holds the place of a console client
	clients int
}

// Serve starts to serve a listening socket, which it closes in Close.
func Serve(l net.Listener, o Options) *Server {
	s := &Server{Options: o, listener: l, conns: map[net.Conn]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.tasks.OnPanic = func(p *safe.Panic) { s.Log.Error(p.Error(), "stack", string(p.Stack)) }
	s.tasks.Go("console accept", s.accept)
	return s
}

// Close ends the server and all its connections. The socket's file is the
// caller's to remove, before or after.
func (s *Server) Close() {
	s.cancel()
	s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
}

func (s *Server) accept() {
	pause := limits.AcceptBackoffMin
	for s.ctx.Err() == nil {
		conn, err := s.listener.Accept()
		if err != nil {
			select { // out of descriptors, most likely: some will come back
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			pause = min(2*pause, limits.AcceptBackoffMax)
			continue
		}
		pause = limits.AcceptBackoffMin
		client, ok := s.admit(conn)
		if !ok {
			s.Limits.Hit(limits.Console)
			conn.Close()
			continue
		}
		s.tasks.Go("console client", func() {
			defer s.leave(conn)
			s.serve(conn, client)
		})
	}
}

// admit finds a place for a connection: that of a console client, or else only
// one for a relay. Other workers' map() must get through when all places of
// clients are taken.
func (s *Server) admit(conn net.Conn) (client, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= limits.ConsoleClients+limits.ConsoleRelays || s.ctx.Err() != nil {
		return false, false
	}
	client = s.clients < limits.ConsoleClients
	if client {
		s.clients++
	}
	s.conns[conn] = client
	return client, true
}

// release gives a client's place back, once.
func (s *Server) release(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[conn] {
		s.clients--
		s.conns[conn] = false
	}
}

func (s *Server) leave(conn net.Conn) {
	s.release(conn)
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	conn.Close()
}

func (s *Server) serve(conn net.Conn, client bool) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	w := timely{conn}
	se := &session{eval: s.Eval(), quiet: s.Quiet, record: s.Record, out: w, errOut: w, protocols: s.Protocols,
		tasks: &s.tasks, hungUp: func() bool { return hungUp(conn) }}
	in := newInput(ctx, &s.tasks, conn)
	var err error
	if client {
		se.framed = &frames{s: se, tasks: &s.tasks, identity: s.Identity}
		if err = se.greet(); err == nil {
			err = in.serve(ctx, se)
		}
	} else {
		err = in.prove(ctx, se)
	}
	switch {
	case errors.Is(err, errSwitched):
		if !se.speaksFrames {
			s.release(conn) // to a relay, which has a place of its own
		}
		in.rest = se.pending
		se.switched(ctx, in, w)
	case errors.Is(err, errTooLong), errors.Is(err, errTooMany):
		s.Limits.Hit(limits.Console)
		_ = write(w, "error: "+err.Error()+"\n")
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

// timely is a connection whose reader gets limits.ConsoleWrite for each
// result.
type timely struct{ net.Conn }

func (t timely) Write(p []byte) (int, error) {
	if err := t.SetWriteDeadline(time.Now().Add(limits.ConsoleWrite)); err != nil {
		return 0, err
	}
	return t.Conn.Write(p)
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
