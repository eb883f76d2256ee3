package lineedit

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// HistoryLines is how many lines are remembered, by a terminal and in the file.
const HistoryLines = 1000

// Kept is the file of lines that were typed at a console, be it of a daemon that runs on the
// terminal or of its client: $XDG_STATE_HOME/kresc/history, or below ~/.local/state. It is
// its owner's alone. Where it cannot be had, nothing is kept, and so in a nil Kept.
type Kept struct {
	path string // "": none
	last string
}

// OpenKept finds the file by the environment.
func OpenKept(getenv func(string) string) *Kept {
	dir := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) { // a relative one is to be ignored (XDG Base Directory Specification)
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return &Kept{}
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return &Kept{path: filepath.Join(dir, "kresc", "history")}
}

// Load returns the lines that are kept, the oldest first. A file that has grown to twice as
// many is cut.
func (h *Kept) Load() []string {
	if h == nil {
		return nil
	}
	if info, err := os.Stat(h.path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	text, err := os.ReadFile(h.path)
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" && utf8.ValidString(line) {
			lines = append(lines, line)
		}
	}
	if len(lines) > 2*HistoryLines {
		h.replace(strings.Join(lines[len(lines)-HistoryLines:], "\n") + "\n")
	}
	return lines[max(0, len(lines)-HistoryLines):]
}

// replace writes the file anew. One that is lost was only a history.
func (h *Kept) replace(text string) {
	temp := h.path + ".new"
	if os.WriteFile(temp, []byte(text), 0o600) == nil {
		_ = os.Rename(temp, h.path)
	}
}

// Add appends a line at once, so that it outlives the program however that ends, and that
// two programs lose none of each other's. One that begins with a blank or repeats the one
// before is left out.
func (h *Kept) Add(line string) {
	if h == nil || h.path == "" || line == h.last || line == "" || line[0] == ' ' {
		return
	}
	h.last = line
	if os.MkdirAll(filepath.Dir(h.path), 0o700) != nil {
		return
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600) // no FIFO holds this up
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 && f.Chmod(0o600) != nil {
		return
	}
	_, _ = f.WriteString(line + "\n")
}
