package doq

import (
	"bytes"
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
		if all[i], err = newRelay(conn, dir); err != nil {
			t.Fatal(err)
		}
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
		packet(tag{9}, "nobody's"), packet(dead, "a dead one's"), []byte("short"),
	} {
		buf, oob := make([]byte, 100), make([]byte, 20)
		ms = append(ms, ipv4.Message{Buffers: [][]byte{buf}, OOB: oob, N: copy(buf, p), NN: copy(oob, "oob"), Addr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}})
	}
	n := all[0].passOn(ms)
	var got []string
	for _, m := range ms[:n] {
		got = append(got, string(bytes.TrimPrefix(m.Buffers[0][:m.N], []byte{0x41})))
	}
	if n != 4 || !bytes.HasSuffix([]byte(got[0]), []byte("ours")) || !bytes.HasSuffix([]byte(got[1]), []byte("nobody's")) || !bytes.HasSuffix([]byte(got[2]), []byte("dead one's")) || got[3] != "short" {
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
	if err := ours(link); err == nil {
		t.Error("a link was followed")
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
