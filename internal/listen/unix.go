package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// UNIX sockets.
//
// A path belongs to one listening socket; there is no group of several as with a
// port. So of the workers of a group the one that opened the path last accepts for
// all, and the others stand by. A worker binds its socket under a name of its own
// and renames that over the path when it listens: clients find one worker or
// another, and never none. When the worker that has the path is killed, its
// custodian goes on accepting from the copy that it keeps (Finish); when there is
// none, another worker binds the path within limits.AwaitAddress.
//
// A socket's own name tells, as long as it lives, which process bound it and by which
// supervisor that was started (owner). The kernel shows it to whoever connects, so
// a worker knows a sibling's socket, which it may put its own in the place of, from that
// of a stranger, also where it sees no other process (ProtectProc=invisible).
//
// A client on a UNIX socket is a program on this machine, and counts as unixPeer.

// unixPeer is the address of both ends of a connection by a UNIX socket. Its port
// is one that no client has.
var unixPeer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1)

// ByPath tells whether what was received at local came by a UNIX socket.
func ByPath(local netip.AddrPort) bool { return local == unixPeer }

// ownerOnly are the permissions of a UNIX socket's file unless others are asked for.
const ownerOnly fs.FileMode = 0o600

// mostPID is the greatest number of a process in Linux.
const mostPID = 1 << 22

// PathFlags say how to open a UNIX socket.
type PathFlags struct {
	Flags
	// Mode are the permissions of the file; 0: only this user may connect.
	Mode fs.FileMode
}

// ErrNoStream is returned where a service has no kind of transport that lives on
// streams, for a UNIX socket to carry.
var ErrNoStream = errors.New("this service needs UDP, which a UNIX socket does not carry")

// ListenPath is Listen for the UNIX socket of a path, by those kinds of transport
// that live on streams. A file of a socket at which nobody listens any more gives
// way; anything else that is there is an error.
func (s *Server) ListenPath(path string, flags PathFlags) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return ErrLeaving
	}
	kind, err := PathUsable(path, flags.Kinds)
	if err != nil {
		return &BindError{Path: path, Err: err}
	}
	if !s.Serves(kind) {
		return ErrNotServed
	}
	if slices.ContainsFunc(s.endpoints, func(e *endpoint) bool { return e.Path == path }) {
		return nil
	}
	if flags.Mode == 0 {
		flags.Mode = ownerOnly
	}
	e := &endpoint{Endpoint: Endpoint{Path: path, Kind: kind}, mode: flags.Mode}
	err = s.pathFree(path)
	if err == nil && s.open {
		err = s.startPath(e)
	}
	if err != nil {
		return &BindError{Path: path, Err: err}
	}
	s.endpoints = append(s.endpoints, e)
	if s.open {
		s.changed()
	}
	return nil
}

// ClosePath is Close for the UNIX socket of a path.
func (s *Server) ClosePath(path string) bool {
	return s.closeWhere(func(e *endpoint) bool { return e.Path == path })
}

// PathUsable says why no UNIX socket can have a path, as far as the file system
// tells, and by which of the kinds it would be served.
func PathUsable(path string, kinds []transport.Kind) (transport.Kind, error) {
	i := slices.IndexFunc(kinds, func(k transport.Kind) bool { return k.Network() == "tcp" })
	if i < 0 {
		return 0, ErrNoStream
	}
	if n, most := len(path), len(unix.RawSockaddrUnix{}.Path)-1-len(owner{mostPID, mostPID}.suffix()); n > most {
		return 0, fmt.Errorf("the path has %d octets, and that of a UNIX socket has at most %d", n, most)
	}
	if err := unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK); err != nil {
		return 0, fmt.Errorf("no file can be made in %s: %w", filepath.Dir(path), err)
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSocket == 0 {
		err = errors.New("there is a file, and it is not a socket; remove it, or choose another path")
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return kinds[i], reason(err)
}

// pathFree says who else has a path.
func (s *Server) pathFree(path string) error {
	switch there, err := whoAnswers(path, limits.MapConnect); {
	case err == nil && there.pid != os.Getpid() && !s.sibling(there) && unix.Kill(there.pid, 0) != unix.ESRCH:
		return fmt.Errorf("another program listens there (process %d); end it, or choose another path", there.pid)
	case err == nil, errors.Is(err, unix.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case err == unix.EAGAIN:
		return errors.New("a program listens there that accepts nobody; end it, or choose another path")
	default:
		return reason(err)
	}
}

// sibling tells whether a socket is that of a worker of the same group.
func (s *Server) sibling(of owner) bool {
	return of.supervisor != 0 && of.supervisor == s.supervisor && of.pid != 0 // 0: it is in another PID namespace
}

// whoAnswers is the process that listens at a path, with the supervisor that the name of
// its socket tells. Nothing is sent to it. Where its queue stays full for as long as this
// may wait, the error is EAGAIN.
func whoAnswers(path string, wait time.Duration) (owner, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return owner{}, err
	}
	defer unix.Close(fd)
	tv := unix.NsecToTimeval(int64(max(wait, time.Microsecond))) // nothing would be for ever
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv); err != nil {
		return owner{}, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return owner{}, err
	}
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return owner{}, err
	}
	there := owner{pid: int(cred.Pid)}
	if name, err := unix.Getpeername(fd); err == nil {
		if bound, ok := name.(*unix.SockaddrUnix); ok {
			_, by := pathOf(bound.Name)
			there.supervisor = by.supervisor
		}
	}
	return there, nil
}

// startPath opens the socket of a path and puts it in the place of the one that is
// there.
func (s *Server) startPath(e *endpoint) error {
	own := e.Path + owner{os.Getpid(), s.supervisor}.suffix()
	os.Remove(own) // of a dead process that had our number
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: own, Net: "unix"})
	if err != nil {
		return reason(err)
	}
	ln.SetUnlinkOnClose(false) // it would unlink by its own name
	if err = os.Chmod(own, e.mode); err == nil {
		err = os.Rename(own, e.Path)
	}
	if err != nil {
		ln.Close()
		os.Remove(own)
		return reason(err)
	}
	s.accept(e, ln)
	return nil
}

// accept serves e by a socket that has its path.
func (s *Server) accept(e *endpoint, ln streamListener) {
	e.seen = seenAt{file: fileAt(e.Path), pid: os.Getpid()}
	e.socket = s.startAccepting(e.Kind, ln, site{path: e.Path, file: e.seen.file})
	if !s.standing {
		s.standing = true
		s.panics.Go("UNIX sockets", s.lookAfterPaths)
	}
}

// An owner of a UNIX socket is a process, and the supervisor that started it; 0: there
// is none.
type owner struct{ pid, supervisor int }

// suffix is what a process puts behind a path to have a name of its own.
func (o owner) suffix() string { return fmt.Sprintf(".%d-%d~", o.pid, o.supervisor) }

// pathOf takes a name of a process's own apart.
func pathOf(own string) (path string, by owner) {
	i := strings.LastIndexByte(own, '.')
	if i < 0 {
		return own, owner{}
	}
	if n, err := fmt.Sscanf(own[i:], ".%d-%d~", &by.pid, &by.supervisor); n < 2 || err != nil || own[i:] != by.suffix() {
		return own, owner{}
	}
	return own[:i], by
}

// A fileID tells a file from another that has its name later.
type fileID struct{ dev, ino uint64 }

// fileAt is the file of a path, the zero fileID if there is none.
func fileAt(path string) fileID {
	st := unix.Stat_t{}
	if unix.Lstat(path, &st) != nil {
		return fileID{}
	}
	return fileID{st.Dev, st.Ino}
}

// forget removes the file of a path, if it still is this one.
func (f fileID) forget(path string) {
	if f != (fileID{}) && fileAt(path) == f {
		os.Remove(path)
	}
}

// inherit goes on accepting from the socket by which a dead sibling had a path, if
// this server has the path as well: what waits in it was sent to nobody else. It
// returns false where another worker has the path by now.
func (s *Server) inherit(f *os.File, own string) bool {
	path, by := pathOf(own)
	i := slices.IndexFunc(s.endpoints, func(e *endpoint) bool { return e.Path == path && e.socket != nil })
	if i < 0 {
		return false
	}
	if there, err := whoAnswers(path, 0); err == nil && there.pid != by.pid || err != nil && err != unix.EAGAIN { // a full queue is one that nobody sees to
		return false
	}
	// From here on the kernel names this process to those who connect.
	if err := unix.Listen(int(f.Fd()), unix.SOMAXCONN); err != nil {
		return false
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return false
	}
	s.replaceLocked(s.endpoints[i], func(e *endpoint) error {
		s.accept(e, ln.(streamListener))
		return nil
	})
	return true
}

// replaceLocked gives e another socket and lets go of the one that it has.
func (s *Server) replaceLocked(e *endpoint, open func(*endpoint) error) {
	old := &endpoint{Endpoint: e.Endpoint, socket: e.socket, orphaned: true}
	if err := open(e); err != nil {
		s.log.Warn((&BindError{Path: e.Path, Err: err}).Error())
		return
	}
	s.retireLocked(old, s.clock.Mono())
	s.changed()
}

// seenAt is who was last seen to have a path, and by which file.
type seenAt struct {
	file fileID
	pid  int
}

// lookAfterPaths opens paths anew that have lost their worker, until there are none.
func (s *Server) lookAfterPaths() {
	for more := true; more; more = s.lookAtPaths() {
		sleepUntil(s.over, limits.AwaitAddress)
	}
}

// lookAtPaths looks once, and tells whether there are paths left.
func (s *Server) lookAtPaths() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing = false
	for _, e := range s.endpoints {
		if e.Path == "" || e.Inherited || e.socket == nil {
			continue
		}
		s.standing = true
		if s.lost(e) {
			s.replaceLocked(e, s.startPath)
		}
	}
	return s.standing
}

// lost tells whether nobody answers at the path of e. It is not tried by connecting while
// the file is the one seen last and the process seen with it lives.
func (s *Server) lost(e *endpoint) bool {
	file := fileAt(e.Path)
	if file != (fileID{}) && file == e.seen.file && unix.Kill(e.seen.pid, 0) != unix.ESRCH {
		return false
	}
	there, err := whoAnswers(e.Path, 0)
	if err == nil {
		e.seen = seenAt{file, there.pid}
		return false
	}
	return (errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist))
}
