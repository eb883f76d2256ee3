package hints

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// loadHosts adds what a hosts file says: "address name [alias…]", # starts a
// comment. A wrong line is skipped, and warn is told its place and what is wrong; of
// so many that the log would be full of them, only their number. It fails, and adds
// nothing, when the file cannot be read to its end.
func (t *table) loadHosts(read textfile.Reader, path string, warn func(line string)) (skipped int, err error) {
	err = read(path, func(f io.Reader, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", path, wording.Reason(err))
		}
		next := t.clone()
		if skipped, err = next.readHosts(f, path, warn); err == nil {
			*t = *next
		}
		return err
	})
	return skipped, err
}

// readHosts reads what stands in the file at path.
func (t *table) readHosts(f io.Reader, path string, warn func(line string)) (skipped int, err error) {
	lines := bufio.NewReaderSize(f, limits.HostsLine)
	for n := 1; ; n++ {
		line, wrong, err := hostsLine(lines, n == 1)
		if err == nil && wrong == nil {
			wrong = t.addLine(line)
		}
		if wrong != nil {
			if skipped++; skipped <= limits.HostsWarnings {
				warn(fmt.Sprintf("hints: %s:%d: %v; the line is skipped", path, n, wrong))
			}
		}
		if err == nil {
			continue
		}
		if more := skipped - limits.HostsWarnings; more > 0 {
			warn(fmt.Sprintf("hints: %s: %d more lines are wrong and skipped", path, more))
		}
		if errors.Is(err, io.EOF) {
			return skipped, nil
		}
		return skipped, fmt.Errorf("%s: %w", path, wording.Reason(err))
	}
}

// byteOrderMark is what some editors write before the first line.
const byteOrderMark = "\ufeff"

// hostsLine reads one line as words; wrong says why it cannot be used. The error is
// io.EOF behind the last line.
func hostsLine(lines *bufio.Reader, first bool) (words []string, wrong, err error) {
	text, err := lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) { // the end comes with the next line
			err = nil
		}
		return nil, fmt.Errorf("longer than %d octets", limits.HostsLine), err
	}
	if errors.Is(err, io.EOF) && len(text) > 0 {
		err = nil
	}
	if first {
		text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	}
	data, _, _ := strings.Cut(string(text), "#")
	return strings.Fields(data), nil, err
}

// addLine adds aliases first and the canonical name last, because a PTR
// question is told what was added last. Of a line with a mistake nothing is added.
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
	names := make([]dnsname.Name, len(words))
	for i, word := range words[1:] {
		if names[i+1], err = parseName(word); err != nil {
			return err
		}
	}
	for i := len(words) - 1; i >= 1; i-- {
		t.add(names[i], a)
	}
	return nil
}

// short is a word as far as it is worth a place in the log.
func short(word string) string {
	const most = 80
	if len(word) <= most {
		return word
	}
	return word[:most] + "…"
}

func parseAddr(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, fmt.Errorf("'%s' is not an IP address", short(text))
	}
	return a.WithZone("").Unmap(), nil
}
