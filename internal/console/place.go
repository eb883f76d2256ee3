package console

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
)

// A place is the connection of a client, and since when it is silent. Clients that are
// silent keep their places until somebody else wants them, and not for ever.
type place struct {
	net.Conn
	client bool // else it is a relay, or has not shown yet what it is; belongs to Server.mu

	begun time.Time
	heard atomic.Int64 // when it sent something last, since begun
	told  atomic.Int64 // when it was told something last
}

func newPlace(c net.Conn) *place { return &place{Conn: c, begun: time.Now()} }

// Read waits for limits.ConsoleSilence.
func (p *place) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(limits.ConsoleSilence)); err != nil {
		return 0, err
	}
	n, err := p.Conn.Read(b)
	if n > 0 {
		p.heard.Store(int64(time.Since(p.begun)))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = write(p, fmt.Sprintf("error: nothing was typed here for %v\n", limits.ConsoleSilence))
	}
	return n, err
}

// seated begins the client's silence anew: what it waited for a place was not its own.
func (p *place) seated() { p.told.Store(int64(time.Since(p.begun))) }

// Write gives the reader limits.ConsoleWrite.
func (p *place) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(limits.ConsoleWrite)); err != nil {
		return 0, err
	}
	p.told.Store(int64(time.Since(p.begun))) // before the client can answer
	return p.Conn.Write(b)
}

// silent is for how long the client has neither sent anything nor waited for the end of
// a command; 0 while one may be running.
func (p *place) silent() time.Duration {
	now, heard, told := time.Since(p.begun), time.Duration(p.heard.Load()), time.Duration(p.told.Load())
	if heard > told && now-heard < limits.ConsoleWaitTime {
		return 0
	}
	return now - max(heard, told)
}
