package script

import (
	"strconv"
	"strings"
)

// sources keeps the text of chunks, for the order of keys in a table that was
// written there.
type sources struct {
	text  map[string]string // by the machine's name of the chunk
	names []string          // oldest first
}

// maxSources bounds what is kept: files first come, commands come and go.
const maxSources = 64

func newSources() *sources { return &sources{text: map[string]string{}} }

func (s *sources) add(chunk, text string) {
	if _, known := s.text[chunk]; !known {
		s.names = append(s.names, chunk)
	}
	s.text[chunk] = text
	if len(s.names) > maxSources {
		delete(s.text, s.names[0])
		s.names = s.names[1:]
	}
}

// line is the text at a place, "chunk:line: ", or "".
func (s *sources) line(where string) string {
	chunk := chunkOf(where)
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

// chunkOf is the name of the chunk in a place, "chunk:line: ".
func chunkOf(where string) string {
	place := strings.TrimSuffix(where, ": ")
	return place[:max(strings.LastIndexByte(place, ':'), 0)]
}
