package doq

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
)

func TestTagsOfPackets(t *testing.T) {
	id := []byte("tag.12345678")
	long := append(append([]byte{0xe0, 0, 0, 0, 1, idLen}, id...), 4, 1, 2, 3, 4)
	for name, c := range map[string]struct {
		packet []byte
		ok     bool
	}{
		"a short header":         {append([]byte{0x41}, append(bytes.Clone(id), 1, 2, 3)...), true},
		"a long header":          {long, true},
		"cut in the ID":          {append([]byte{0x41}, id[:idLen-1]...), false},
		"a long one, cut":        {long[:6+idLen-1], false},
		"another length":         {append([]byte{0xe0, 0, 0, 0, 1, 8}, id...), false},
		"nothing":                {nil, false},
		"an octet":               {[]byte{0xc0}, false},
		"the beginning of a one": {[]byte{0xc0, 0, 0, 0, 1, idLen}, false},
	} {
		got, ok := tagIn(c.packet)
		if ok != c.ok || ok && string(got[:]) != "tag." {
			t.Errorf("%s: %q, %t", name, got, ok)
		}
	}
}

// A packet of a handshake becomes a short one with the same ID; what may begin a connection,
// and what is of another version, stays as it is.
func TestPacketsOfLostHandshakes(t *testing.T) {
	for name, c := range map[string]struct {
		first   byte
		version uint32
		short   bool
	}{
		"a handshake": {0xe3, 1, true}, "one of version 2": {0xf3, 0x6b3343cf, true},
		"a beginning": {0xc3, 1, false}, "one in version 2": {0xd3, 0x6b3343cf, false}, "0-RTT": {0xd3, 1, false},
		"another version": {0xe3, 0xff00001d, false}, "a short one": {0x43, 1, false},
	} {
		packet := append(binary.BigEndian.AppendUint32([]byte{c.first}, c.version), idLen)
		packet = append(packet, "tag.12345678 and what follows"...)
		before := bytes.Clone(packet)
		id, _ := tagIn(packet)
		shorten(packet)
		got, ok := tagIn(packet)
		if short := packet[0]&0x80 == 0 && before[0]&0x80 != 0; short != c.short || !short && !bytes.Equal(packet, before) || !ok || got != id || len(packet) != len(before) {
			t.Errorf("%s becomes %q", name, packet)
		}
	}
}

func TestPacketsThatArePassedOn(t *testing.T) {
	for _, from := range []string{"192.0.2.1:5353", "[2001:db8::1]:65535", "[fe80::1%lo]:1"} {
		p := passed{net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)), []byte("control"), []byte("packet")}
		got, ok := parsePassed(appendPassed(nil, p))
		if !ok || got.from.String() != p.from.String() || !bytes.Equal(got.control, p.control) || !bytes.Equal(got.packet, p.packet) {
			t.Errorf("%s: %v, %t", from, got, ok)
		}
	}
}

func FuzzPassed(f *testing.F) {
	f.Add(appendPassed(nil, passed{net.UDPAddrFromAddrPort(netip.MustParseAddrPort("[fe80::1%lo]:1")), []byte("control"), []byte("packet")}))
	f.Add(make([]byte, passedHead))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parsePassed(b); ok && len(p.packet)+len(p.control)+len(p.from.Zone)+passedHead != len(b) {
			t.Fatalf("%d octets of %d", len(p.packet), len(b))
		}
		if got, ok := tagIn(b); ok && !bytes.Contains(b, got[:]) {
			t.Fatal("a tag from nowhere")
		}
	})
}

// What is for another is taken out of a batch, and what stays keeps its octets, wherever
// it moves to.
func TestABatchIsSorted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "quic")
	var all [2]*relay
	for i := range all {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		j := newJunction(conn)
		if all[i], err = newRelay(j, dir); err != nil {
			t.Fatal(err)
		}
		j.join(all[i])
		defer all[i].Close()
	}
	dead := tag{1, 2, 3, 4}
	if err := os.WriteFile(all[0].path(dead), nil, 0o600); err != nil { // of a process that is dead
		t.Fatal(err)
	}
	packet := func(to tag, text string) []byte {
		return append(append(append([]byte{0x41}, to[:]...), "12345678"...), text...)
	}
	var ms []ipv4.Message
	for _, p := range [][]byte{
		packet(all[1].tag, "other's"), packet(all[0].tag, "ours"), packet(all[1].tag, "other's again"),
		packet(tag{9}, "nobody's"), packet(dead, "a dead one's"), []byte("short"), packet(all[1].tag, "from nowhere"),
	} {
		buf, oob := make([]byte, 100), make([]byte, 20)
		ms = append(ms, ipv4.Message{Buffers: [][]byte{buf}, OOB: oob, N: copy(buf, p), NN: copy(oob, "oob"), Addr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}})
	}
	ms[len(ms)-1].Addr = nil
	n := all[0].passOn(ms)
	var got []string
	for _, m := range ms[:n] {
		got = append(got, string(bytes.TrimPrefix(m.Buffers[0][:m.N], []byte{0x41})))
	}
	if n != 5 || !bytes.HasSuffix([]byte(got[4]), []byte("from nowhere")) || !bytes.HasSuffix([]byte(got[0]), []byte("ours")) || !bytes.HasSuffix([]byte(got[1]), []byte("nobody's")) || !bytes.HasSuffix([]byte(got[2]), []byte("dead one's")) || got[3] != "short" {
		t.Errorf("%d stay: %q", n, got)
	}
	buf := make([]byte, 200)
	for _, want := range []string{"other's", "other's again"} {
		k, err := all[1].in.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := parsePassed(buf[:k]); !ok || !bytes.HasSuffix(p.packet, []byte(want)) || p.from.Port != 7 || string(p.control) != "oob" {
			t.Errorf("%+v, %t; want %q", p, ok, want)
		}
	}
	if _, err := os.Stat(all[0].path(dead)); err == nil {
		t.Error("what the dead one left is still there")
	}
}

// A directory that somebody else has made, or a link that stands in its place, is not
// believed; one that is open to others is closed.
func TestTheDirectoryForPacketsOfOthersIsOurs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "quic")
	mode := func() os.FileMode {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if err := ours(dir); err != nil || mode() != 0o700 {
		t.Errorf("a new one: %v, mode %o", err, mode())
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := ours(dir); err != nil || mode() != 0o700 {
		t.Errorf("one that was open: %v, mode %o", err, mode())
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := ours(link); err == nil || !strings.HasSuffix(err.Error(), "; remove it") {
		t.Errorf("a link was followed: %v", err)
	}
	if err := ours(filepath.Join(dir, "none", "quic")); err == nil || strings.Contains(err.Error(), "remove it") {
		t.Errorf("one that cannot be made: %v", err)
	}
	before := descriptors(t)
	const times = 50
	for range times {
		if err := ours(dir); err != nil {
			t.Fatal(err)
		}
	}
	if more := descriptors(t) - before; more >= times {
		t.Errorf("%d descriptors more are open", more)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root gives a directory away")
	}
	if err := os.Chown(dir, 65534, -1); err != nil {
		t.Fatal(err)
	}
	if err := ours(dir); err == nil || !strings.Contains(err.Error(), "it belongs to user 65534, not to 0 who runs this process; remove it") {
		t.Errorf("one of somebody else: %v", err)
	}
}

// What dead processes have left is removed by the next one, and nothing that is in use.
func TestWhatDeadProcessesHaveLeftIsSwept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "quic")
	relayIn := func() *relay {
		t.Helper()
		conn, _ := localUDP(t)
		j := newJunction(conn)
		r, err := newRelay(j, dir)
		if err != nil {
			t.Fatal(err)
		}
		j.join(r)
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	living, dead := relayIn(), relayIn()
	_ = dead.in.Close() // as the kernel does, which leaves the name
	other, err := net.Listen("unix", filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	before := descriptors(t)
	const times = 20
	for range times {
		_ = relayIn().Close()
	}
	if more := descriptors(t) - before; more >= times {
		t.Errorf("%d descriptors more are open", more)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if want := []string{filepath.Base(living.path(living.tag)), "other"}; err != nil || len(left) != len(want) || filepath.Base(left[0]) != want[0] || filepath.Base(left[1]) != want[1] {
		t.Errorf("%v is left of the living and another's socket, %v", left, err)
	}
}

// A packet goes to whoever has its tag, also where he has more than he can take; it stays
// where nobody has, and where this process passes nothing on, or does so no more.
func TestWhoIsSentAPacket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "quic")
	conn, _ := localUDP(t)
	from, err := newRelay(newJunction(conn), dir)
	if err != nil {
		t.Fatal(err)
	}
	to, err := newRelay(newJunction(conn), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer to.closeOwn()
	p := passed{&net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}, []byte("control"), bytes.Repeat([]byte("packet"), 200)}
	for i := range 10000 { // far more than a socket keeps
		if !from.send(to.tag, p) {
			t.Fatalf("packet %d was not sent", i)
		}
	}
	if from.send(tag{9}, p) {
		t.Error("nobody was sent a packet")
	}
	from.closeOwn()
	if from.send(to.tag, p) {
		t.Error("who is closed sends packets")
	}
	if joined(t, newJunction(conn)).send(to.tag, p) {
		t.Error("who has no directory sends packets")
	}
}
