package hints

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kresd/internal/dnsname"
)

// FuzzHosts: a file is taken as it reads, or its first wrong line is named.
// Whatever was taken can be asked for, and nothing else is known.
func FuzzHosts(f *testing.F) {
	for _, text := range []string{
		"127.0.0.1 localhost\n::1 localhost ip6-localhost # the same\n",
		"192.0.2.1\ta.example a\n\n# nothing\n2001:db8::1 A.example.\n192.0.2.1 b.example",
		"::ffff:192.0.2.7 mapped\nfe80::1%eth0 scoped\n",
		"192.0.2.1", "a.example 192.0.2.1\n", "192.0.2.1 a..b\n", "192.0.2.300 a\n", "192.0.2.1 " + strings.Repeat("x", 64),
		"192.0.2.1 \\000\\255.example\r\n", strings.Repeat("10.0.0.1 n ", 8000), "\x00\xff",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tab := newTable()
		warn := func(line string) {
			if !strings.HasPrefix(line, "hints: hosts:") {
				t.Errorf("the warning has no place: %s", line)
			}
		}
		if skipped, err := tab.readHosts(bytes.NewReader(text), "hosts", warn); err != nil {
			t.Errorf("%v", err)
		} else if skipped == 0 {
			allTaken(t, tab, string(text))
		}
		n := 0
		tab.each(func(name dnsname.Name, addrs []netip.Addr) {
			n++
			if _, err := dnsname.FromWire([]byte(name)); err != nil || len(addrs) == 0 || !has(tab, name) {
				t.Errorf("%q: %v %v", name, addrs, err)
			}
			for _, a := range addrs {
				if host, ok := tab.host(reverseName(a)); !ok || !slices.Contains(tab.addrs(host), a) {
					t.Errorf("%s has the name %q, which has not that address", a, host)
				}
			}
		})
		if n != tab.names {
			t.Errorf("%d names, counted as %d", n, tab.names)
		}
	})
}

// allTaken looks for every name of a file that has no wrong line.
func allTaken(t *testing.T, tab *table, text string) {
	known := 0
	for line := range strings.Lines(strings.TrimPrefix(text, byteOrderMark)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		for _, word := range words[min(1, len(words)):] {
			known++
			a, err := parseAddr(words[0])
			name, err2 := dnsname.Parse(word)
			if err != nil || err2 != nil || !slices.Contains(tab.addrs(name), a) {
				t.Errorf("%s of %q: %v %v, known are %v", word, line, err, err2, tab.addrs(name))
			}
		}
	}
	if tab.names > known {
		t.Errorf("%d names of %d words", tab.names, known)
	}
}

// has tells whether the listener's thread finds a name.
func has(t *table, name dnsname.Name) bool {
	_, _, known := t.about([]byte(name))
	return known
}
