package lineedit

// history are the lines that were typed, the latest first.
type history struct {
	lines []string // the latest last
	kept  *Kept    // where they outlive the program
}

// Add remembers a line, unless it is blank, begins with a blank, or is the one before.
func (h *history) Add(line string) {
	if line == "" || line[0] == ' ' || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	if h.lines = append(h.lines, line); len(h.lines) > HistoryLines {
		h.lines = h.lines[1:]
	}
	h.kept.Add(line)
}

// Len is how many lines are remembered.
func (h *history) Len() int { return len(h.lines) }

// At is a line, 0 being the latest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
