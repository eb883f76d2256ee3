package forkmap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
)

// Greeting is the line that turns a console connection into one of map(); the
// answer is the line with " ok" after it, maybe behind a prompt.
const Greeting = "__map 1"

const accepted = Greeting + " ok\n"

// The requests, first octet of a frame before the expression.
const (
	opEval  = 'E' // run it; one result comes back
	opRelay = 'R' // run it in all workers
)

// What comes back for opRelay: any number of opWait, then opResults with the
// number of results in two octets and each result in a frame, or opFailed with
// a text.
const (
	opWait    = 'W'
	opResults = 'L'
	opFailed  = 'X'
)

// waitEvery is how often a leader says that it is still there, well within
// limits.MapSilence.
const waitEvery = 500 * time.Millisecond

// A peer is a connection to another worker's control socket.
type peer struct {
	net.Conn
	r *bufio.Reader
}

// dial connects to a worker, and makes sure that it is the worker.
func (r *Relay) dial(ctx context.Context, m ipc.Member) (*peer, error) {
	d := net.Dialer{Timeout: limits.MapConnect}
	conn, err := d.DialContext(ctx, "unix", r.SocketPath(m))
	if err != nil {
		return nil, err
	}
	if err := verify(conn, m.PID); err != nil {
		conn.Close()
		return nil, err
	}
	return newPeer(conn), nil
}

func newPeer(conn net.Conn) *peer { return &peer{conn, bufio.NewReader(conn)} }

// verify compares who made the listening socket with whom we expect there:
// numbers of processes are used again, and files can be put by others.
func verify(conn net.Conn, pid int) error {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return errors.New("not a UNIX socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return err
	}
	if int(cred.Pid) != pid || !trusted(int(cred.Uid), os.Geteuid()) {
		return fmt.Errorf("control socket of %d belongs to process %d of user %d", pid, cred.Pid, cred.Uid)
	}
	return nil
}

// trusted tells whether a socket of that user may be a worker's, for a worker that has a user
// itself. Root is a worker that has since become somebody else.
func trusted(user, own int) bool { return user == 0 || user == own }

// welcome reads the answer to the greeting. A line that is cut off is none.
func (p *peer) welcome() error {
	line, _ := p.r.ReadSlice('\n')
	return checkWelcome(line)
}

func checkWelcome(line []byte) error {
	if !strings.HasSuffix(string(line), accepted) {
		return errMalformed
	}
	return nil
}

// ask has another worker evaluate. Whatever goes wrong is no answer.
func (r *Relay) ask(ctx context.Context, m ipc.Member, expr string) Result {
	none := Result{Kind: NoAnswer}
	p, err := r.dial(ctx, m)
	if err != nil {
		return none
	}
	defer p.Close()
	_ = p.SetDeadline(time.Now().Add(evalTime)) // where it fails, so does writing
	if p.send(Greeting+"\n") != nil || p.request(opEval, expr) != nil || p.welcome() != nil {
		return none
	}
	frame, _ := ipc.ReadFrame(p.r, limits.IPCFrame) // an empty one is no result
	if res, err := parseResult(frame); err == nil {
		return res
	}
	return none
}

func (p *peer) send(text string) error {
	_, err := p.Write([]byte(text))
	return err
}

func (p *peer) request(op byte, expr string) error {
	return ipc.WriteFrame(p, append([]byte{op}, expr...), limits.IPCFrame)
}

// knock connects to a worker that is to lead and waits until it has accepted.
func (r *Relay) knock(ctx context.Context, m ipc.Member) (*peer, error) {
	p, err := r.dial(ctx, m)
	if err != nil {
		return nil, err
	}
	_ = p.SetWriteDeadline(time.Now().Add(limits.MapConnect)) // where it fails, so does writing
	if err = p.send(Greeting + "\n"); err == nil {
		err = p.accepted(m.PID)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// accepted waits for the answer to the greeting. A worker on a busy machine is
// given time; one that was stopped (by a debugger, or by hand) is not.
func (p *peer) accepted(pid int) error {
	var line []byte
	for limit := time.Now().Add(limits.MapAccept); ; {
		_ = p.SetReadDeadline(time.Now().Add(limits.MapConnect)) // where it fails, so does reading
		piece, err := p.r.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case err == nil:
			return checkWelcome(line)
		case !errors.Is(err, os.ErrDeadlineExceeded), time.Now().After(limit), stopped(pid):
			return err
		}
	}
}

// stopped says whether a process is stopped; its socket still takes
// connections then, for nobody. The state follows the name in parentheses,
// which may hold anything (proc(5)).
func stopped(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // nothing of one that is gone
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return len(after) > 1 && (after[1] == 'T' || after[1] == 't')
}

// handOver gives the leader the expression and waits for the results.
func (r *Relay) handOver(ctx context.Context, p *peer, expr string) ([]Result, error) {
	defer p.Close()
	stop := context.AfterFunc(ctx, func() { p.Close() })
	defer stop()
	if len(expr) >= limits.IPCFrame {
		return nil, fmt.Errorf("map(): the expression takes %d octets, more than %d", len(expr), limits.IPCFrame-1)
	}
	results, err := p.relay(expr)
	var failed leaderError
	switch {
	case err == nil:
		return results, nil
	case errors.As(err, &failed):
		return nil, failed
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, ErrUnknown
}

// A leaderError is why the leader did not run the expression at all.
type leaderError string

func (e leaderError) Error() string { return "map(): " + string(e) }

func (p *peer) relay(expr string) ([]Result, error) {
	_ = p.SetDeadline(time.Now().Add(limits.MapSilence)) // where it fails, so does writing
	if err := p.request(opRelay, expr); err != nil {
		return nil, err
	}
	for {
		frame, err := p.next()
		if err != nil {
			return nil, err
		}
		switch {
		case len(frame) == 1 && frame[0] == opWait:
		case len(frame) == 3 && frame[0] == opResults:
			return p.results(int(binary.BigEndian.Uint16(frame[1:])))
		case len(frame) > 0 && frame[0] == opFailed:
			return nil, leaderError(frame[1:])
		default:
			return nil, errMalformed
		}
	}
}

func (p *peer) results(n int) ([]Result, error) {
	var results []Result
	for range n {
		frame, err := p.next()
		if err != nil {
			return nil, err
		}
		res, err := parseResult(frame)
		if err != nil {
			return nil, err
		}
		results = append(results, res)
	}
	return results, nil
}

func (p *peer) next() ([]byte, error) {
	_ = p.SetDeadline(time.Now().Add(limits.MapSilence)) // where it fails, so does reading
	return ipc.ReadFrame(p.r, limits.IPCFrame)
}
