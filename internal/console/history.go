package console

// historyLines is how many lines a terminal remembers.
const historyLines = 500

// history are the lines that were typed, the latest first.
type history struct {
	lines []string // the latest last
}

// Add remembers a line, unless it is empty or the one before.
func (h *history) Add(line string) {
	if line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	if h.lines = append(h.lines, line); len(h.lines) > historyLines {
		h.lines = h.lines[1:]
	}
}

// Len is how many lines are remembered.
func (h *history) Len() int { return len(h.lines) }

// At is a line, 0 being the latest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
