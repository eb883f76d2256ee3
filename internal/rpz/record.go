package rpz

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"kresd/internal/limits"
)

// A record is what stands in a file as one entry: a line, or several in parentheses.
type record struct {
	line  int    // of its beginning
	text  []byte // without comments, and with its lines made one
	words [][]byte
	first byte  // octet of the line where it begins
	wrong error // why it cannot be used
}

// inner tells whether it begins with a blank: the owner is the one before.
func (r *record) inner() bool { return blank(r.first) }

// A scanner reads a file record by record.
type scanner struct {
	lines  *bufio.Reader
	n      int // lines that were read
	octets int
	record
}

// ErrFileSize is that of a file with more than limits.ListFile octets.
var ErrFileSize = fmt.Errorf("longer than %d octets", limits.ListFile)

var (
	errLong   = fmt.Errorf("longer than %d octets", limits.ListLine)
	errOpen   = errors.New("'(' without ')'")
	errClosed = errors.New("')' without '('")
	errQuote  = errors.New("'\"' without another one in the line")
)

func newScanner(r io.Reader) *scanner {
	return &scanner{lines: bufio.NewReaderSize(r, limits.ListLine)}
}

// next reads a record, which may have no words. The error is io.EOF at the end.
func (s *scanner) next() error {
	s.record = record{line: s.n + 1, text: s.text[:0], words: s.words[:0]}
	depth := 0
	for {
		line, err := s.readLine()
		switch {
		case err != nil && (depth == 0 || !errors.Is(err, io.EOF)):
			return err
		case err != nil:
			s.wrong = errOpen
			return nil
		}
		if depth = s.add(line, depth); depth == 0 {
			break
		}
	}
	if s.wrong == nil {
		s.split()
	}
	return nil
}

// readLine reads one line, without its end. Of one that is too long nothing is left.
func (s *scanner) readLine() ([]byte, error) {
	line, err := s.lines.ReadSlice('\n')
	s.octets += len(line)
	if s.n++; s.n == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	if s.n == s.line && len(line) > 0 {
		s.first = line[0]
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		s.wrong, line = errLong, nil
		var rest []byte
		rest, err = s.lines.ReadSlice('\n')
		if s.octets += len(rest); s.octets > limits.ListFile {
			break
		}
	}
	if s.octets > limits.ListFile {
		return nil, ErrFileSize
	}
	if errors.Is(err, io.EOF) && (len(line) > 0 || s.wrong != nil) {
		err = nil // the end comes with the next line
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// add puts a line behind those of the record, without its comment, and tells how many
// parentheses are open.
func (s *scanner) add(line []byte, depth int) int {
	if len(s.text) > 0 {
		s.text = append(s.text, ' ')
	}
	from, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			line = line[:i]
		case c == '(' || c == ')':
			if depth++; c == ')' {
				depth -= 2
			}
			if depth < 0 {
				s.wrong = errClosed
				return 0
			}
			s.text = append(append(s.text, line[from:i]...), ' ')
			from = i + 1
		}
	}
	if s.text = append(s.text, line[from:]...); quoted && s.wrong == nil {
		s.wrong = errQuote
	}
	if len(s.text) > limits.ListLine { // what follows is the next record
		s.wrong = errLong
		return 0
	}
	return depth
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// split finds the words of the record. Those in quotes keep them.
func (s *scanner) split() {
	text := s.text
	for at := 0; ; {
		for at < len(text) && (blank(text[at]) || text[at] == '\r') {
			at++
		}
		if at == len(text) {
			return
		}
		from, quoted := at, false
		for ; at < len(text) && (quoted || !blank(text[at])); at++ {
			switch text[at] {
			case '\\':
				if at+1 < len(text) {
					at++
				}
			case '"':
				quoted = !quoted
			}
		}
		s.words = append(s.words, text[from:at])
	}
}
