package doq

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// Processes that share a port.
//
// The kernel chooses one of their sockets by the addresses of both ends, and chooses
// another when a socket joins or leaves. So the IDs that a Listener gives to its
// connections begin with its tag, and who receives a packet with the tag of another
// passes it on: to a UNIX socket in a directory that all have in common, whose name is
// the tag. The owner takes it as if it had come by its own port, from which it answers.
// A tag that nobody has any more is that of a process that is dead, and its client is
// told so by a stateless reset.

const (
	tagLen = 4
	idLen  = 12 // of a connection's ID: the tag, and what is random
)

type tag [tagLen]byte

// An idGenerator makes IDs of connections (quic.ConnectionIDGenerator).
type idGenerator struct{ tag tag }

// GenerateConnectionID implements quic.ConnectionIDGenerator.
func (g *idGenerator) GenerateConnectionID() (quic.ConnectionID, error) {
	var id [idLen]byte
	copy(id[:], g.tag[:])
	_, _ = rand.Read(id[tagLen:]) // it never fails: without random numbers the process ends
	return quic.ConnectionIDFromBytes(id[:]), nil
}

// ConnectionIDLen implements quic.ConnectionIDGenerator.
func (g *idGenerator) ConnectionIDLen() int { return idLen }

// tagIn is the tag that a packet is for; false where the ID is none of ours. (RFC
// 9000, section 17; a client's first packets have an ID of the client's choice.)
func tagIn(packet []byte) (t tag, ok bool) {
	switch {
	case len(packet) == 0:
		return t, false
	case packet[0]&0x80 == 0: // a short header
		packet = packet[1:]
	case len(packet) > 6 && packet[5] == idLen:
		packet = packet[6:]
	default:
		return t, false
	}
	if len(packet) < idLen {
		return t, false
	}
	return tag(packet), true
}

// A relay is a UDP socket that passes on what is for others, and takes in what others
// pass on.
type relay struct {
	*net.UDPConn
	batch *ipv4.PacketConn
	tag   tag
	dir   string
	in    *net.UnixConn // nil: there is nobody else
	out   int           // a socket to send to others
	came  chan passed
	ended atomic.Bool // reading shall end
	close sync.Once
}

// passed is a packet on its way from one process to another.
type passed struct {
	from    *net.UDPAddr
	control []byte // as the kernel gave it, which tells the address that was asked
	packet  []byte
}

// passedHead is what stands in front of a packet that is passed on: the address and
// port of the client, and the lengths of its zone and of the control message.
const passedHead = 16 + 2 + 1 + 2

// newRelay makes a relay of a UDP socket. Without a directory it passes nothing on.
func newRelay(conn *net.UDPConn, dir string) (*relay, error) {
	r := &relay{UDPConn: conn, batch: ipv4.NewPacketConn(conn), dir: dir, out: -1, came: make(chan passed, limits.QUICPassed)}
	_, _ = rand.Read(r.tag[:])
	if dir == "" {
		return r, nil
	}
	err := ours(dir)
	if err != nil {
		return nil, err
	}
	if r.in, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: r.path(r.tag), Net: "unixgram"}); err != nil {
		return nil, fmt.Errorf("socket for packets of others: %w", err)
	}
	if r.out, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		r.in.Close()
		return nil, err
	}
	sweep(dir)
	return r, nil
}

// ours makes the directory, or sees that nobody else can put sockets there: those would
// be given packets of clients, and give us some.
func ours(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("directory for packets of others '%s': %w; remove it", dir, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("directory for packets of others '%s': %w", dir, err)
	}
	if uid := os.Geteuid(); int(st.Uid) != uid {
		return fmt.Errorf("directory for packets of others '%s': it belongs to user %d, not to %d who runs this process; remove it", dir, st.Uid, uid)
	}
	if st.Mode&0o777 == 0o700 {
		return nil
	}
	return unix.Fchmod(fd, 0o700)
}

// sweep removes what dead processes have left.
func sweep(dir string) {
	list, _ := os.ReadDir(dir) // one that cannot be read is as good as empty
	for _, f := range list {
		path := filepath.Join(dir, f.Name())
		c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err == nil {
			_ = c.Close()
		} else if errors.Is(err, unix.ECONNREFUSED) {
			_ = os.Remove(path)
		}
	}
}

func (r *relay) path(t tag) string { return filepath.Join(r.dir, hex.EncodeToString(t[:])) }

// take reads what others pass on until the relay is closed.
func (r *relay) take() {
	buf := make([]byte, passedHead+limits.QUICPassedSize)
	for {
		n, err := r.in.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(limits.AcceptBackoffMin)
			continue
		}
		p, ok := parsePassed(buf[:n])
		if !ok {
			continue
		}
		select {
		case r.came <- p:
			_ = r.UDPConn.SetReadDeadline(time.Now()) // who reads looks at what came
		default: // as a full socket would
		}
	}
}

// ReadBatch gives packets that are for this process, at least one.
func (r *relay) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		if n := r.takeIn(ms); n > 0 {
			return n, nil
		}
		n, err := r.batch.ReadBatch(ms, flags)
		if errors.Is(err, os.ErrDeadlineExceeded) && !r.ended.Load() {
			_ = r.UDPConn.SetReadDeadline(time.Time{})
			if r.ended.Load() { // SetReadDeadline has come between
				return 0, err
			}
			continue
		}
		if n <= 0 || err != nil {
			return n, err
		}
		if n = r.passOn(ms[:n]); n > 0 {
			return n, nil
		}
	}
}

// SetReadDeadline ends reading: its only user does it for that.
func (r *relay) SetReadDeadline(t time.Time) error {
	r.ended.Store(!t.IsZero())
	return r.UDPConn.SetReadDeadline(t)
}

// takeIn moves what others have passed on to ms.
func (r *relay) takeIn(ms []ipv4.Message) (n int) {
	for n < len(ms) {
		select {
		case p := <-r.came:
			m := &ms[n]
			m.N, m.NN, m.Addr = copy(m.Buffers[0], p.packet), copy(m.OOB, p.control), p.from
			n++
		default:
			return n
		}
	}
	return n
}

// passOn passes on what is for others, and moves the rest to the front. The memory of
// each place stays where it is.
func (r *relay) passOn(ms []ipv4.Message) (n int) {
	for i := range ms {
		m := &ms[i]
		packet := m.Buffers[0][:m.N]
		if t, ok := tagIn(packet); ok && t != r.tag && r.out >= 0 && r.send(t, m, packet) {
			continue
		}
		if n < i {
			to := &ms[n]
			to.N, to.NN, to.Addr = copy(to.Buffers[0], packet), copy(to.OOB, m.OOB[:m.NN]), m.Addr
		}
		n++
	}
	return n
}

// send passes a packet on. It is false where nobody has the tag.
func (r *relay) send(t tag, m *ipv4.Message, packet []byte) bool {
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		return false
	}
	b := appendPassed(make([]byte, 0, passedHead+len(from.Zone)+m.NN+len(packet)), passed{from, m.OOB[:m.NN], packet})
	switch err := unix.Sendto(r.out, b, unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: r.path(t)}); err {
	case nil, unix.EAGAIN, unix.ENOBUFS: // what a busy process does not take is lost, and sent again
		return true
	case unix.ECONNREFUSED: // of a process that is dead
		_ = os.Remove(r.path(t))
	}
	return false
}

// appendPassed appends p as it is passed on.
func appendPassed(b []byte, p passed) []byte {
	a := p.from.AddrPort().Addr().As16()
	b = append(b, a[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(p.from.Port))
	b = append(b, byte(len(p.from.Zone)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.control)))
	b = append(b, p.from.Zone...)
	b = append(b, p.control...)
	return append(b, p.packet...)
}

// parsePassed is the reverse, in memory of its own.
func parsePassed(b []byte) (p passed, ok bool) {
	if len(b) < passedHead {
		return p, false
	}
	addr := netip.AddrFrom16([16]byte(b)).Unmap()
	port, zone, control := binary.BigEndian.Uint16(b[16:]), int(b[18]), int(binary.BigEndian.Uint16(b[19:]))
	b = append([]byte(nil), b[passedHead:]...)
	if zone+control >= len(b) {
		return p, false
	}
	from := &net.UDPAddr{IP: addr.AsSlice(), Port: int(port), Zone: string(b[:zone])}
	return passed{from, b[zone : zone+control], b[zone+control:]}, true
}

// Close closes the sockets, and removes the one that others know.
func (r *relay) Close() error {
	err := r.UDPConn.Close()
	r.close.Do(func() {
		if r.in != nil {
			_ = r.in.Close()
			_ = os.Remove(r.path(r.tag))
			_ = unix.Close(r.out)
		}
	})
	return err
}
