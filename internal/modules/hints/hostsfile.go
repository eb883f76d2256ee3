package hints

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// loadHosts adds what a hosts file says: "address name [alias…]", # starts a
// comment. The first wrong line ends the loading with its place; what came
// before it stays added.
func (t *table) loadHosts(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return t.readHosts(f, path)
}

// readHosts reads what stands in the file at path.
func (t *table) readHosts(f io.Reader, path string) error {
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 0, 4096), limits.HostsLine)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if err := t.addLine(strings.Fields(text)); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// addLine adds aliases first and the canonical name last, because a PTR
// question is told what was added last.
func (t *table) addLine(words []string) error {
	if len(words) == 0 {
		return nil
	}
	a, err := parseAddr(words[0])
	if err != nil {
		return err
	}
	if len(words) == 1 {
		return fmt.Errorf("address %s without a name", words[0])
	}
	for i := len(words) - 1; i >= 1; i-- {
		name, err := dnsname.Parse(words[i])
		if err != nil {
			return fmt.Errorf("bad name '%s': %w", words[i], err)
		}
		t.add(name, a)
	}
	return nil
}

func parseAddr(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, fmt.Errorf("'%s' is not an IP address", text)
	}
	return a.WithZone("").Unmap(), nil
}
