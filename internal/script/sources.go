package script

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
