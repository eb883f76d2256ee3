package hints

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/wire"
)

func TestAPublishedTableDoesNotChange(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	one := newTable()
	one.add("\x01a\x00", a)
	two := one.clone()
	two.add("\x01a\x00", b)
	two.add("\x01b\x00", a)
	three := two.clone()
	three.remove("\x01a\x00", netip.Addr{})
	for i, c := range []struct {
		t           *table
		ofA, ofB, n int
		host        dnsname.Name
	}{{one, 1, 0, 1, "\x01a\x00"}, {two, 2, 1, 2, "\x01b\x00"}, {three, 0, 1, 1, "\x01b\x00"}} {
		host, _ := c.t.host(reverseName(a))
		if len(c.t.addrs("\x01a\x00")) != c.ofA || len(c.t.addrs("\x01b\x00")) != c.ofB || c.t.names != c.n || host != c.host {
			t.Errorf("table %d: a %v, b %v, %d names, host %q", i+1, c.t.addrs("\x01a\x00"), c.t.addrs("\x01b\x00"), c.t.names, host)
		}
	}
	if has(three, reverseName(b)) || !has(three, reverseName(a)) {
		t.Error("the address that went is known, or the one that stayed is not")
	}
	if left := three.reverse[shard(reverseName(b))]; len(left) != 0 {
		t.Errorf("the address that went takes room: %v", left)
	}
}

// A change copies only the maps that it touches, and these once.
func TestAMapIsCopiedOnce(t *testing.T) {
	a, name := netip.MustParseAddr("192.0.2.1"), dnsname.Name("\x01a\x00")
	maps := func(t *table) [2]uintptr {
		return [2]uintptr{reflect.ValueOf(t.forward[shard(name)]).Pointer(), reflect.ValueOf(t.reverse[shard(reverseName(a))]).Pointer()}
	}
	one := newTable()
	one.add(name, a)
	first := maps(one)
	one.remove(name, a)
	if one.add(name, a); maps(one) != first {
		t.Error("a table copies what is its own")
	}
	two := one.clone()
	if two.add(name, a); maps(two) != first {
		t.Error("what is there already is copied")
	}
	two.add(name, netip.MustParseAddr("192.0.2.2"))
	two.add("\x01b\x00", a)
	if m := maps(two); m[0] == first[0] || m[1] == first[1] {
		t.Error("a table writes into the maps of another")
	}
}

func TestThePTRIsTheNameAddedLast(t *testing.T) {
	a := netip.MustParseAddr("2001:db8::1")
	few := newTable()
	name := func(i int) dnsname.Name { return dnsname.Name([]byte{1, 'a' + byte(i), 0}) }
	for i := range 20 {
		few.add(name(i), a)
	}
	for i := 19; i >= 0; i-- {
		if host, _ := few.host(reverseName(a)); host != name(i) {
			t.Errorf("of %d names it is %q, want %q", i+1, host, name(i))
		}
		few.remove(name(i), a)
	}
	table := newTable()
	for range 3 {
		for i := range 100 {
			table.add(dnsname.Name([]byte{2, 'a' + byte(i/10), 'a' + byte(i%10), 0}), a)
		}
	}
	table.add("\x02aa\x00", a)
	if host, _ := table.host(reverseName(a)); host != "\x02aa\x00" {
		t.Errorf("the name added last again is %q", host)
	}
	table.remove("\x02aa\x00", a)
	if host, _ := table.host(reverseName(a)); host != "\x02jj\x00" {
		t.Errorf("after its end it is %q", host)
	}
	if n := len(table.reverse[shard(reverseName(a))][reverseName(a)]); n > 400 {
		t.Errorf("100 names take %d places", n)
	}
}

// processorTime is what this process has used, whatever else the machine does.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// A block list gives one address to very many names, and scripts set hints in
// loops; neither may take the square of their number.
func TestLargeTablesTakeLinearTime(t *testing.T) {
	i, _ := open(t)
	var text strings.Builder
	const many = 200_000
	for n := range many {
		fmt.Fprintf(&text, "0.0.0.0 host%d.example\n", n)
	}
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	begin := processorTime(t)
	for range 2 { // the second time every name is there already
		if r := fn(t, i, "add_hosts", path).(*luavalue.Table); r.Get("result") != true {
			t.Fatal(r)
		}
	}
	for n := range 2000 {
		fn(t, i, "set", fmt.Sprintf("set%d.example 127.0.0.%d", n, n%250))
	}
	if d := processorTime(t) - begin; d > 20*time.Second { // square time takes minutes
		t.Errorf("it took %v", d)
	}
	for name, qtype := range map[string]uint16{"host199999.example": wire.TypeA, "set1999.example": wire.TypeA, "0.0.0.0.in-addr.arpa": wire.TypePTR} {
		if _, done := ask(i, name, qtype); !done {
			t.Errorf("%s is not answered", name)
		}
	}
}
