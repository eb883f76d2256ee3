package language

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"syscall"

	"kresd/internal/limits"
)

// errTooMuch says that one read would give more than a string can hold, as one of
// all of /dev/zero would.
var errTooMuch = errors.New("not enough memory for what was read")

// readLine reads up to the end of a line and drops that. There is none at the end of
// the file.
func readLine(in *bufio.Reader) (line string, ok bool, err error) {
	var b []byte
	for {
		part, err := in.ReadSlice('\n')
		if b = append(b, part...); len(b) > limits.LuaString {
			return "", false, errTooMuch
		}
		switch err {
		case nil:
			return string(b[:len(b)-1]), true, nil
		case bufio.ErrBufferFull:
		case io.EOF:
			return string(b), len(b) > 0, nil
		default:
			return "", false, err
		}
	}
}

// readOctets reads up to n octets.
func readOctets(in *bufio.Reader, n int64) (text string, ok bool, err error) {
	if n == 0 {
		_, err := in.Peek(1)
		return "", err == nil, withoutEnd(err)
	}
	b, err := io.ReadAll(io.LimitReader(in, min(n, limits.LuaString+1)))
	if len(b) > limits.LuaString {
		return "", false, errTooMuch
	}
	return string(b), len(b) > 0, err
}

func withoutEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// readNumber reads what C's scanf takes for a number: space, then the longest text
// that a number can begin with. What it took is gone, also when it is none.
func readNumber(in *bufio.Reader) (n float64, ok bool, err error) {
	s := numberScan{in: in}
	s.scan()
	if err := withoutEnd(s.err); err != nil {
		return 0, false, err
	}
	n, ok = leadingNumber(string(s.text))
	return n, ok, nil
}

// A numberScan takes octets while they can belong to a number.
type numberScan struct {
	in   *bufio.Reader
	text []byte
	err  error
}

// mostDigits bounds the text of one number.
const mostDigits = 1000

// next looks at the next octet, as a small letter; 0 is the end.
func (s *numberScan) next() byte {
	b, err := s.in.Peek(1)
	if err != nil {
		s.err = err
		return 0
	}
	if 'A' <= b[0] && b[0] <= 'Z' {
		return b[0] | 0x20
	}
	return b[0]
}

// take takes the next octet if it is one of those.
func (s *numberScan) take(those string) bool {
	c := s.next()
	if s.err != nil || strings.IndexByte(those, c) < 0 || len(s.text) >= mostDigits {
		return false
	}
	_, s.err = s.in.Discard(1)
	s.text = append(s.text, c)
	return true
}

func (s *numberScan) takeAll(those string) (any bool) {
	for s.take(those) {
		any = true
	}
	return any
}

func (s *numberScan) word(letters string) {
	for _, c := range letters {
		if !s.take(string(c)) {
			s.text = nil // no number, whatever it began like
			_, _ = s.in.Discard(1)
			return
		}
	}
}

func (s *numberScan) scan() {
	for s.take(" \t\n\v\f\r") {
		s.text = s.text[:0]
	}
	s.take("+-")
	switch s.next() {
	case 'i':
		if s.word("inf"); s.text != nil && s.next() == 'i' {
			s.word("inity")
		}
		return
	case 'n':
		s.word("nan")
		return
	}
	digits, exponent, hex := "0123456789", "e", false
	leading := s.take("0")
	if leading && s.take("x") {
		digits, exponent, hex = "0123456789abcdef", "p", true
	}
	any := s.takeAll(digits) || leading && !hex
	if s.take(".") {
		any = s.takeAll(digits) || any
	}
	if any && s.take(exponent) {
		s.take("+-")
		s.takeAll("0123456789")
	}
}

// leadingNumber is the number that text begins with.
func leadingNumber(text string) (float64, bool) {
	for end := len(text); end > 0; end-- {
		t := text[:end]
		if strings.Contains(t, "0x") && !strings.Contains(t, "p") {
			t += "p0"
		}
		n, err := strconv.ParseFloat(t, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) {
			return n, true
		}
	}
	return 0, false
}

// readable is what can be read from a stream.
func (s *stream) readable() (*bufio.Reader, error) {
	if s.in == nil {
		return nil, syscall.EBADF
	}
	return s.in, nil
}
