package kresc

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// historyLines is how many lines are kept.
const historyLines = 1000

// A history is the file of lines that were typed: $XDG_STATE_HOME/kresc/history, or below
// ~/.local/state. It is its owner's alone. Where it cannot be had, nothing is kept.
type history struct {
	path string // "": none
	last string
}

func openHistory(getenv func(string) string) *history {
	dir := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) { // a relative one is to be ignored (XDG Base Directory Specification)
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return &history{}
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return &history{path: filepath.Join(dir, "kresc", "history")}
}

// load returns the lines that are kept, the oldest first. A file that has grown to twice as
// many is cut.
func (h *history) load() []string {
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
	if len(lines) > 2*historyLines {
		h.replace(strings.Join(lines[len(lines)-historyLines:], "\n") + "\n")
	}
	return lines[max(0, len(lines)-historyLines):]
}

// replace writes the file anew. One that is lost was only a history.
func (h *history) replace(text string) {
	temp := h.path + ".new"
	if os.WriteFile(temp, []byte(text), 0o600) == nil {
		_ = os.Rename(temp, h.path)
	}
}

// add appends a line at once, so that it outlives the program however that ends, and that
// two programs lose none of each other's.
func (h *history) add(line string) {
	if h.path == "" || line == h.last {
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
