package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/reload"
)

// A Kind names a message.
type Kind string

// What a worker tells its supervisor.
const (
	Hello    Kind = "hello"    // first message: PID
	Cache    Kind = "cache"    // about to open the cache in Dir
	Ready    Kind = "ready"    // serving, with its control socket open; Awaited
	Fatal    Kind = "fatal"    // cannot start, or go on; Line says why
	Unfit    Kind = "unfit"    // cannot start with this configuration, whoever tries again
	Stopping Kind = "stopping" // draining, of its own accord or when asked
	Changed  Kind = "changed"  // listens elsewhere than when it last handed copies of its sockets over
	Sockets  Kind = "sockets"  // with FDs: its lifeline, then copies of its listening sockets
	Kept     Kind = "kept"     // has done what Keep said about process PID
	Alive    Kind = "alive"    // has answered a question of its own
	Hangs    Kind = "hangs"    // is sure that it does not do its work; Line says how it knows
	TookOver Kind = "tookover" // found process PID dead and answers what its sockets hold
	InForce  Kind = "inforce"  // with FDs: the configuration that it has run (package inforce)
	Reload   Kind = "reload"   // somebody asks for a reload of the group, here
	Bind     Kind = "bind"     // with FDs: a socket that is to be bound to Addr, as this process may not
)

// What the supervisor tells a worker.
const (
	Roster   Kind = "roster"   // Members are those that are ready now
	Drain    Kind = "drain"    // answer what was accepted, then end
	Give     Kind = "give"     // hand over copies of your sockets, as they are now
	Reloads  Kind = "reloads"  // State is how far reloads of the group have come
	Accepted Kind = "accepted" // the answer to Reload: it is the one of that Number
	Bound    Kind = "bound"    // the answer to Bind: Number is what bind(2) said, 0 for success
	Share    Kind = "share"    // Secret is what the group has in common, and nobody else knows
	Keep     Kind = "keep"     // with FDs: be the custodian of process PID, whose lifeline and sockets these are; without: no longer
)

// A Member is a worker that is ready.
type Member struct {
	ID  int `json:"id"`
	PID int `json:"pid"`
}

// A Message is one of the kinds above with the fields that belong to it.
type Message struct {
	Kind    Kind     `json:"kind"`
	PID     int      `json:"pid,omitempty"`
	Dir     string   `json:"dir,omitempty"`
	Line    string   `json:"line,omitempty"`
	Members []Member `json:"members,omitempty"`
	Secret  []byte   `json:"secret,omitempty"`
	Ticket  int      `json:"ticket,omitempty"`  // of Reload or Bind, which the answer repeats
	Addr    string   `json:"addr,omitempty"`    // and port; the zone is the number of an interface
	Awaited []string `json:"awaited,omitempty"` // of Ready: addresses for which Bind may come later
	Number  int      `json:"number,omitempty"`

	State *reload.State `json:"state,omitempty"`
	// FDs travel beside the message. The receiver owns them.
	FDs Descriptors `json:"-"`
}

// DecodeMessage reads one message. Unknown kinds and fields are no error, so
// that processes of two versions understand what they share.
func DecodeMessage(p []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(p, &m); err != nil {
		return Message{}, fmt.Errorf("ipc message: %w", err)
	}
	if m.Kind == "" {
		return Message{}, errors.New("ipc message: no kind")
	}
	return m, nil
}

// A Conn is one end of the socket pair. Send and Receive may be used by one
// goroutine each.
type Conn struct {
	c      *net.UnixConn
	got    Descriptors // received with the frame that is being read
	begun  bool        // a part of that has been read
	paused atomic.Bool
}

// ErrPaused is what Receive returns between two messages after Pause.
var ErrPaused = errors.New("paused")

// Pair makes a socket pair: one end as a Conn, the other as a file to hand to
// a child. The file is to be closed once the child has it.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "ipc")
	ours, err := fromFile(os.NewFile(uintptr(fds[0]), "ipc"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// fromFile takes f over.
func fromFile(f *os.File) (*Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("not a UNIX socket")
	}
	return &Conn{c: u}, nil
}

// Send writes one message; it waits limits.IPCSendTime at most, which is only reached
// when something is wrong: the few messages of a process's life fit the socket's buffer. The message's
// descriptors stay the caller's: the other side gets copies.
func (c *Conn) Send(m Message) error {
	p, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := c.c.SetWriteDeadline(time.Now().Add(limits.IPCSendTime)); err != nil {
		return err
	}
	return WriteFrame(&passing{c: c.c, fds: m.FDs}, p, limits.IPCFrame)
}

// Receive waits for one message. io.EOF means that the other process has
// ended.
func (c *Conn) Receive() (Message, error) {
	if c.paused.Load() {
		return Message{}, ErrPaused
	}
	c.begun = false
	p, err := ReadFrame(receiving{c}, limits.IPCFrame)
	fds := c.got
	c.got = nil
	if errors.Is(err, unix.ECONNRESET) {
		err = io.EOF // it ended before it had read everything
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrPaused
	}
	m := Message{}
	if err == nil {
		m, err = DecodeMessage(p)
	}
	if err != nil {
		fds.Close()
		return Message{}, err
	}
	m.FDs = fds
	return m, nil
}

// Pause makes Receive return ErrPaused, after it has read all of a message that is
// arriving. Later messages stay in the connection, for Receive after Resume, or for the
// process that takes the connection over.
func (c *Conn) Pause() {
	c.paused.Store(true)
	_ = c.c.SetReadDeadline(time.Now()) // fails where it is closed, which Receive finds too
}

// Resume ends a Pause.
func (c *Conn) Resume() {
	c.paused.Store(false)
	_ = c.c.SetReadDeadline(time.Time{})
}

// WithFD calls fn with the connection's descriptor.
func (c *Conn) WithFD(fn func(fd int)) error {
	raw, err := c.c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { fn(int(fd)) })
}

// FromFD is the connection with a descriptor that this process has inherited, which
// belongs to it from here on.
func FromFD(fd int) (*Conn, error) { return fromFile(os.NewFile(uintptr(fd), "ipc")) }

// Close ends the connection.
func (c *Conn) Close() error { return c.c.Close() }
