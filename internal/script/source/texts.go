package source

import (
	"strconv"
	"strings"
)

// Texts keep the text of chunks, for what the machine does not remember of it: the
// order of the keys of a table, and what a variable was given.
type Texts struct {
	text  map[string]string // by the machine's name of the chunk
	names []string          // oldest first
}

// maxTexts bounds what is kept: files first come, commands come and go.
const maxTexts = 64

// NewTexts has none yet.
func NewTexts() *Texts { return &Texts{text: map[string]string{}} }

// Add keeps the text of a chunk by the machine's name for it.
func (s *Texts) Add(chunk, text string) {
	if _, known := s.text[chunk]; !known {
		s.names = append(s.names, chunk)
	}
	s.text[chunk] = text
	if len(s.names) > maxTexts {
		delete(s.text, s.names[0])
		s.names = s.names[1:]
	}
}

// Of is the text of a chunk, or "".
func (s *Texts) Of(chunk string) string { return s.text[chunk] }

// Line is the text at a place, "chunk:line: ", or "".
func (s *Texts) Line(where string) string {
	chunk := ChunkOf(where)
	n, err := strconv.Atoi(strings.Trim(where[len(chunk):], ": "))
	if err != nil || n < 1 {
		return ""
	}
	for name, text := range s.text {
		if lines := strings.Split(text, "\n"); name[1:] == chunk && n <= len(lines) {
			return lines[n-1]
		}
	}
	return ""
}

// Line is line number n, from 1, of a text.
func Line(text string, n int) string {
	lines := strings.Split(text, "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}
