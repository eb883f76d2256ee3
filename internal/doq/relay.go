package doq

import (
	"bytes"
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
// told so by a stateless reset. (What a dead process had acknowledged and not answered, its
// client does not send again; it hears of the loss by what it sends next.)
//
//	client ──► kernel ──► a socket of the port ──► its relay reads
//	                                                │ its own tag, or none: here
//	                                                │ that of an earlier relay here (junction.go): to it
//	                                                │ that of another process: DIR/TAG ──► its relay takes it in
//	                                                │ that of nobody: here, where the library resets it
//	client ◄──────────────── the socket of whoever has the connection

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

// A relay is what one Listener takes for its UDP socket: it passes on what is for others, and
// takes in what others pass on.
type relay struct {
	*net.UDPConn // of j, to write to
	j            *junction
	batch        *ipv4.PacketConn
	tag          tag
	dir          string
	in           *net.UnixConn // which takes in and sends on; nil: there is nobody else
	came         chan passed
	turn         chan struct{} // wakes who waits for came
	aside        chan struct{} // taken from by who wants to know that nobody reads here any more
	over         chan struct{} // closed when the relay is
	ended        atomic.Bool   // reading shall end
	probe        atomic.Pointer[probe]
	close        sync.Once
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

// newRelay makes a relay of a UDP socket. Without a directory it passes nothing on to other
// processes.
func newRelay(j *junction, dir string) (*relay, error) {
	r := &relay{UDPConn: j.conn, j: j, batch: ipv4.NewPacketConn(j.conn), dir: dir, came: make(chan passed, limits.QUICPassed),
		turn: make(chan struct{}, 1), aside: make(chan struct{}), over: make(chan struct{})}
	_, _ = rand.Read(r.tag[:])
	if dir == "" {
		return r, nil
	}
	err := ours(dir)
	if err != nil {
		return nil, fmt.Errorf("directory for packets of others '%s': %w", dir, err)
	}
	if r.in, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: r.path(r.tag), Net: "unixgram"}); err != nil {
		return nil, fmt.Errorf("socket for packets of others: %w", err)
	}
	sweep(dir)
	return r, nil
}

// ours makes the directory, or sees that nobody else can put sockets there: those would
// be given packets of clients, and give us some.
func ours(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%w; remove it", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if uid := os.Geteuid(); err == nil && int(st.Uid) != uid {
		return fmt.Errorf("it belongs to user %d, not to %d who runs this process; remove it", st.Uid, uid)
	}
	return errors.Join(err, unix.Fchmod(fd, 0o700))
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
		if err != nil && final(err) {
			return
		}
		if p, ok := parsePassed(buf[:n]); ok && !r.probed(p.packet) {
			r.give(p)
		}
	}
}

// give has a packet be read by this relay.
func (r *relay) give(p passed) {
	select {
	case r.came <- p:
		r.rouse()
	default: // as a full socket would
	}
}

// takeIn moves what others have passed on to ms.
func (r *relay) takeIn(ms []ipv4.Message) (n int) {
	for n < len(ms) {
		select {
		case p := <-r.came:
			p.putInto(&ms[n])
			n++
		default:
			return n
		}
	}
	return n
}

// putInto makes the packet one of a batch.
func (p passed) putInto(m *ipv4.Message) {
	m.N, m.NN, m.Addr = copy(m.Buffers[0], p.packet), copy(m.OOB, p.control), p.from
}

// passOn passes on what is for others, and moves the rest to the front. The memory of
// each place stays where it is.
func (r *relay) passOn(ms []ipv4.Message) (n int) {
	for i := range ms {
		m := &ms[i]
		packet := m.Buffers[0][:m.N]
		if t, ok := tagIn(packet); ok && t != r.tag {
			from, ok := m.Addr.(*net.UDPAddr)
			if p := (passed{from, m.OOB[:m.NN], packet}); ok && (r.giveOn(t, p) || r.send(t, p)) {
				continue
			}
			shorten(packet)
		}
		if n != i {
			to := &ms[n]
			to.N, to.NN, to.Addr = copy(to.Buffers[0], packet), copy(to.OOB, m.OOB[:m.NN]), m.Addr
		}
		n++
	}
	return n
}

// inHandshake tells whether a packet with a long header is one of a handshake, and not its
// beginning (RFC 9000, section 17.2; RFC 9369, section 3.2).
func inHandshake(packet []byte) bool {
	const version1, version2 = 1, 0x6b3343cf
	switch kind := packet[0] >> 4 & 3; binary.BigEndian.Uint32(packet[1:]) {
	case version1:
		return kind == 2
	case version2:
		return kind == 3
	}
	return false
}

// shorten makes a packet of a handshake look like one of an established connection, which
// the library answers by a stateless reset. The ID in it is of a server's choice, and nobody
// has its tag: that server is dead. Its client may have completed the handshake; it sends
// nothing else, and believes the reset, until the handshake is confirmed. (RFC 9000, section
// 10.3, leaves it open whether to reset these: most servers could not tell whose they are.)
func shorten(packet []byte) {
	if packet[0]&0x80 != 0 && inHandshake(packet) {
		packet[0] = 0x40
		copy(packet[1:], packet[6:6+idLen])
	}
}

// giveOn gives a packet to another relay of this process, if one has the tag.
func (r *relay) giveOn(t tag, p passed) bool {
	to := r.j.of(t)
	if to != nil {
		to.give(passed{p.from, bytes.Clone(p.control), bytes.Clone(p.packet)})
	}
	return to != nil
}

// send passes a packet on to another process. It is false where nobody has the tag.
func (r *relay) send(t tag, p passed) bool {
	if r.in == nil {
		return false
	}
	b := appendPassed(make([]byte, 0, passedHead+limits.QUICPassedSize), p)
	err := net.ErrClosed
	raw, _ := r.in.SyscallConn() // of a socket that is there it never fails
	_ = raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: r.path(t)})
		return true
	})
	switch err {
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

// waiting tells whether the socket has a packet that nobody has read, where this relay reads.
func (r *relay) waiting() (yes bool) {
	raw, err := r.UDPConn.SyscallConn()
	if err != nil || !r.j.reads(r) {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ) // octets of the first (udp(7))
		yes = err == nil && n > 0
	})
	return yes
}

// closeOwn closes what others know the relay by.
func (r *relay) closeOwn() {
	if r.in != nil {
		_ = r.in.Close()
		_ = os.Remove(r.path(r.tag))
	}
}

// Close closes what the relay has of its own, which others know, and the UDP socket if no
// other relay has it.
func (r *relay) Close() error {
	r.close.Do(func() {
		close(r.over)
		r.j.leave(r)
		r.closeOwn()
	})
	return nil
}
