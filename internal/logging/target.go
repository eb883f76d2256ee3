package logging

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"kresd/internal/wording"
)

// A Target is where lines go.
type Target string

// The targets. Stdout is standard output, with errors on standard error; Stderr
// is standard error for all lines; Syslog is the system's log, facility daemon.
const (
	Stdout Target = "stdout"
	Stderr Target = "stderr"
	Syslog Target = "syslog"
)

// outputs are the writers of a target.
type outputs struct {
	target   Target
	out, err output
	ring     *Ring // in front of syslog; nil for the other targets
}

// An output is one of them.
type output struct {
	io.Writer
	priority bool // lines begin with their priority
}

// standard are the writers of Stdout and Stderr.
func (s *sink) standard(t Target) *outputs {
	errs := output{s.opts.Err, s.opts.ErrPriority}
	if t == Stderr {
		return &outputs{target: t, out: errs, err: errs}
	}
	return &outputs{target: t, out: output{s.opts.Out, s.opts.Priority}, err: errs}
}

// Target is where lines go at present.
func (l *Logger) Target() Target {
	if l == nil {
		return Stdout
	}
	return l.sink.outputs.Load().target
}

// SetTarget has the lines of all loggers that share a New go elsewhere. It fails
// for Syslog when nobody takes its lines; then nothing has changed.
func (l *Logger) SetTarget(to Target) error {
	if l == nil || l.Target() == to {
		return nil
	}
	s := l.sink
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.opts.Still {
		still := *s.outputs.Load()
		still.target = to
		s.outputs.Store(&still)
		return nil
	}
	next := s.standard(to)
	if to == Syslog {
		c := &syslogConn{path: s.opts.Syslog}
		if err := c.dial(); err != nil {
			return fmt.Errorf("no syslog takes lines at %s: %w", c.path, wording.Reason(err))
		}
		next.ring = NewRing(c, 0)
		next.ring.tellLoss(s.lossLine)
		next.out = output{next.ring, true}
		next.err = next.out
	}
	if before := s.outputs.Swap(next); before.ring != nil {
		before.ring.Close(time.Second)
	}
	return nil
}

// Close waits, for at most limit, until syslog has the lines that were written.
// The writers of the Options belong to who made them.
func (l *Logger) Close(limit time.Duration) {
	if l == nil {
		return
	}
	if ring := l.sink.outputs.Load().ring; ring != nil {
		ring.Close(limit)
	}
}

// A syslogConn sends each line to syslog's socket as a datagram of its own: priority,
// tag and text (RFC 3164, section 4.1, without time and host, which the receiver
// adds to what comes from its own machine).
type syslogConn struct {
	path string
	conn net.Conn
	last byte // the priority of the line before, which lines that go on with it have too
}

func (c *syslogConn) dial() (err error) {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
	c.conn, err = net.Dial("unixgram", c.path)
	return err
}

// Write implements io.Writer. A syslog that was started again has another socket,
// so that what cannot be sent is tried once more with that.
func (c *syslogConn) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		packet := c.packet(bytes.TrimRight(line, "\n"))
		if c.conn != nil {
			if _, err := c.conn.Write(packet); err == nil {
				continue
			}
		}
		if err := c.dial(); err != nil {
			return 0, err
		}
		if _, err := c.conn.Write(packet); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// facility is that of daemons (RFC 3164, section 4.1.1).
const facility = 3

func (c *syslogConn) packet(line []byte) []byte {
	if len(line) >= 3 && line[0] == '<' && line[2] == '>' {
		c.last, line = line[1]-'0', line[3:]
	}
	return fmt.Appendf(nil, "<%d>kresd[%d]: %s", facility*8+int(c.last), os.Getpid(), line)
}
