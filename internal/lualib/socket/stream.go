package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
)

// A stream is a TCP socket or a UNIX socket. As in LuaSocket it is a master at first, and
// becomes a client by connect or a server by listen.
type stream struct {
	opened
	path             bool   // it is of the family AF_UNIX
	datagrams        bool   // each that is sent or received is one, as a whole
	accepted         bool   // by a server of ours
	buf              []byte // what was read and not asked for yet
	reading, writing bool   // an operation is under way
	sent, received   int    // octets
}

func (s *stream) waiting() bool { return len(s.buf) > 0 }

func (s *stream) client() net.Conn {
	conn, _ := s.conn.(net.Conn)
	return conn
}

func (lib *Library) streamClass() *script.Class {
	class := &script.Class{Name: "tcp", Text: func(v any) string { return fmt.Sprintf("tcp: %p", v) }}
	class.Methods = sharedMethods(class, func(v any) *opened { return &v.(*stream).opened })
	addMethods(class, map[string]method[*stream]{
		"bind":        {"host, port or path", 3, bind},
		"listen":      {"[backlog[, permissions of a path]]", 3, listen},
		"accept":      {"", 1, accept},
		"connect":     {"host, port or path", 3, connect},
		"starttls":    {"[settings]", 2, startTLS},
		"send":        {"data[, from[, to]]", 4, send},
		"receive":     {"[pattern[, prefix]]", 3, receive},
		"shutdown":    {"[how]", 2, shutdown},
		"getpeername": {"", 1, peerName},
		"getsockname": {"", 1, localName},
		"dirty":       {"", 1, func(c *script.Call, s *stream) error { return c.Return(s.waiting()) }},
		"getstats":    {"", 1, func(c *script.Call, s *stream) error { return c.Return(s.received, s.sent) }},
		"setoption":   {"option[, value]", 3, setOption},
	})
	return class
}

func bind(c *script.Call, s *stream) error {
	s.local = s.place(c)
	return c.Return(1)
}

func listen(c *script.Call, s *stream) error {
	l, err := s.listenAt(fs.FileMode(c.OptInt(3, 0, int(fs.ModePerm), 0)))
	if err != nil {
		return failed(c, err)
	}
	open(s, &s.opened, l)
	return c.Return(1)
}

// listenAt makes the server, or what datagrams come to. mode is that of a path, 0 the usual
// one.
func (s *stream) listenAt(mode fs.FileMode) (closer, error) {
	var l any
	var err error
	switch {
	case s.path:
		return listenPath(s.network(), s.local, mode)
	case s.datagrams:
		l, err = net.ListenPacket(s.network(), s.local)
	default:
		l, err = net.Listen(s.network(), s.local)
	}
	if err != nil {
		return nil, err
	}
	return l.(closer), nil
}

// network is what package net calls the kind of the socket.
func (s *stream) network() string {
	switch {
	case s.datagrams && s.path:
		return "unixgram"
	case s.datagrams:
		return "udp"
	case s.path:
		return "unix"
	}
	return "tcp"
}

// place is where a stream is bound or connected to: arguments 2 and 3, host and port, or
// a path.
func (s *stream) place(c *script.Call) string {
	if s.path {
		return c.Text(2)
	}
	return endpoint(c, 2)
}

// An acceptor is a stream that was made a server.
type acceptor interface {
	net.Listener
	SetDeadline(time.Time) error
}

func accept(c *script.Call, s *stream) error {
	l, ok := s.conn.(acceptor)
	if !ok {
		return c.Return(nil, "closed")
	}
	conn, err := outside(c, s.timeouts, l.SetDeadline, l.Accept)
	if err != nil {
		return failed(c, err)
	}
	client := &stream{opened: opened{lib: s.lib, fd: -1, timeouts: forever}, path: s.path, accepted: true}
	open(client, &client.opened, conn.(closer))
	return c.Return(s.lib.handle(client))
}

func connect(c *script.Call, s *stream) error {
	to, network, d := s.place(c), s.network(), &net.Dialer{}
	if network == "tcp" && s.local != "" {
		local, err := net.ResolveTCPAddr("tcp", s.local)
		if err != nil {
			return failed(c, err)
		}
		d.LocalAddr = local
	}
	d.Deadline = s.timeouts.deadline()
	conn, err := script.Outside(c, func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, network, to) })
	if err != nil {
		var slow net.Error
		if errors.As(err, &slow) && slow.Timeout() {
			return c.Return(nil, "timeout")
		}
		return failed(c, err)
	}
	open(s, &s.opened, conn.(closer))
	return c.Return(1)
}

// send returns the index in data of the last octet that was sent, as string.sub counts.
func send(c *script.Call, s *stream) error {
	data := c.String(2)
	from, to := position(c.OptInt(3, -len(data), 1<<30, 1), len(data)), position(c.OptInt(4, -len(data), 1<<30, -1), len(data))
	from, to = max(from, 1), min(to, len(data))
	conn := s.client()
	switch {
	case conn == nil:
		return c.Return(nil, "closed", from-1)
	case s.writing:
		return c.Return(nil, "another coroutine sends", from-1)
	case from > to:
		return c.Return(from - 1)
	}
	s.writing = true
	defer func() { s.writing = false }()
	type written struct{ n int }
	w, err := outside(c, s.timeouts, conn.SetWriteDeadline, func() (*written, error) {
		n, err := conn.Write([]byte(data[from-1 : to]))
		return &written{n}, err
	})
	n := 0
	if w != nil {
		n = w.n
	}
	s.sent += n
	if err != nil {
		return failed(c, err, from-1+n)
	}
	return c.Return(from - 1 + n)
}

// position is an index as string.sub counts it.
func position(i, n int) int {
	if i < 0 {
		return n + i + 1
	}
	return i
}

// receive returns what the pattern asks for; or nil, the reason, and the part of it that
// has come.
func receive(c *script.Call, s *stream) error {
	want, err := patternArg(c)
	if err != nil {
		return err
	}
	prefix, conn := c.OptString(3, ""), s.client()
	if want.octets >= 0 {
		want.octets = max(want.octets-len(prefix), 0)
	}
	if data, ok := want.take(&s.buf); ok {
		return c.Return(prefix + data)
	}
	switch {
	case conn == nil:
		return c.Return(nil, "closed", prefix+drain(s))
	case s.reading:
		return c.Return(nil, "another coroutine receives", prefix)
	}
	s.reading = true
	defer func() { s.reading = false }()
	have := bytes.Clone(s.buf) // the function may outlive this call
	more, err := outside(c, s.timeouts, conn.SetReadDeadline, func() ([]byte, error) {
		data, err := want.read(conn, have, s.chunk())
		if over, ok := conn.(*secured); ok && err == nil {
			data = over.buffered(data)
		}
		return data, err
	})
	if over := (*script.Interrupt)(nil); errors.As(err, &over) {
		return err
	}
	s.received += max(0, len(more)-len(s.buf))
	if more != nil {
		s.buf = more
	}
	if data, ok := want.take(&s.buf); ok {
		return c.Return(prefix + data)
	}
	if err == nil || words(err) == "closed" && want.all {
		return c.Return(prefix + drain(s))
	}
	return failed(c, err, prefix+drain(s))
}

func drain(s *stream) string {
	data := string(s.buf)
	s.buf = nil
	return data
}

// A pattern is what receive is asked for: a line, a number of octets, all until the peer
// closes, or whatever has come as soon as something has.
type pattern struct {
	line, all bool
	octets    int // so many octets; -1: something else is asked for
	most      int // whatever has come, of at most so many octets; 0: something else is asked for
}

func patternArg(c *script.Call) (pattern, error) {
	if c.Type(2) == "number" && c.Number(2) < 0 { // of cqueues, not of LuaSocket
		return pattern{octets: -1, most: -c.Int(2, -limits.LuaString, -1)}, nil
	}
	if c.Type(2) == "number" {
		return pattern{octets: c.Int(2, 0, limits.LuaString)}, nil
	}
	switch p := c.OptString(2, "*l"); p {
	case "*l", "l":
		return pattern{line: true, octets: -1}, nil
	case "*a", "a":
		return pattern{all: true, octets: -1}, nil
	}
	c.ArgError(2, "'*l', '*a' or a number expected")
	return pattern{}, nil
}

// take removes what is asked for from the beginning of the buffer, if all of it is there.
func (p pattern) take(buf *[]byte) (data string, ok bool) {
	switch {
	case p.line:
		i := bytes.IndexByte(*buf, '\n')
		if i < 0 {
			return "", false
		}
		data, *buf = string(bytes.ReplaceAll((*buf)[:i], []byte("\r"), nil)), (*buf)[i+1:]
		return data, true
	case p.most > 0 && len(*buf) > 0:
		n := min(p.most, len(*buf))
		data, *buf = string((*buf)[:n]), (*buf)[n:]
		return data, true
	case p.octets >= 0 && len(*buf) >= p.octets:
		data, *buf = string((*buf)[:p.octets]), (*buf)[p.octets:]
		return data, true
	}
	return "", false
}

// chunk is how many octets are read at once: of datagrams all, since the rest would be lost.
func (s *stream) chunk() int {
	if s.datagrams {
		return 1 << 16
	}
	return 16 << 10
}

// read reads on behind buf, which it keeps, until that has what is asked for.
func (p pattern) read(conn net.Conn, buf []byte, octets int) ([]byte, error) {
	chunk := make([]byte, octets)
	for {
		n, err := conn.Read(chunk)
		buf = append(buf, chunk[:n]...)
		if len(buf) > limits.LuaString {
			return buf, fmt.Errorf("more than %d octets", limits.LuaString)
		}
		look := buf
		if _, ok := p.take(&look); ok || err != nil {
			return buf, err
		}
	}
}

func shutdown(c *script.Call, s *stream) error {
	conn, ok := s.conn.(interface {
		CloseRead() error
		CloseWrite() error
	})
	if !ok {
		return c.Return(nil, "closed")
	}
	how := c.OptString(2, "both")
	if how != "send" {
		_ = conn.CloseRead()
	}
	if how != "receive" {
		_ = conn.CloseWrite()
	}
	return c.Return(1)
}

func peerName(c *script.Call, s *stream) error {
	if conn := s.client(); conn != nil {
		return returnName(c, conn.RemoteAddr())
	}
	return c.Return(nil, "closed")
}

func localName(c *script.Call, s *stream) error {
	switch conn := s.conn.(type) {
	case net.Conn:
		return returnName(c, conn.LocalAddr())
	case net.Listener:
		return returnName(c, conn.Addr())
	}
	return c.Return(nil, "closed")
}

// tcp is the connection of TCP, nil where there is none; it may lie under TLS.
func (s *stream) tcp() *net.TCPConn {
	conn, _ := s.conn.(*net.TCPConn)
	if over, ok := s.conn.(*secured); ok {
		conn, _ = over.under.plain.(*net.TCPConn)
	}
	return conn
}

// setOption knows the options that mean something for a client.
func setOption(c *script.Call, s *stream) error {
	conn := s.tcp()
	var err error
	switch name := c.String(2); name {
	case "tcp-nodelay":
		if conn != nil {
			err = conn.SetNoDelay(c.OptBool(3, true))
		}
	case "keepalive":
		if conn != nil {
			err = conn.SetKeepAlive(c.OptBool(3, true))
		}
	case "reuseaddr", "linger", "ipv6-v6only", "reuseport": // servers always have reuseaddr; the others have no effect here
	default:
		c.ArgError(2, "'tcp-nodelay', 'keepalive' or 'reuseaddr' expected")
	}
	if err != nil {
		return failed(c, err)
	}
	return c.Return(1)
}
