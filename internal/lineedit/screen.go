package lineedit

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// IsTerminal tells whether a file is a terminal.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// A Screen is a terminal where lines are edited, and what else is written beside them, as a
// log. What is written to it stands above the line that is being typed.
type Screen struct {
	in, out *os.File
	cooked  *unix.Termios // how the terminal was found

	mu     sync.Mutex
	editor *Editor // while lines are edited
	closed bool    // it is left as it was found, whoever edits on
}

// NewScreen takes the terminal that in and out are, or returns nil where lines cannot be
// edited: one of them is no terminal, or a dumb one, or the process is in its background.
func NewScreen(in, out *os.File, getenv func(string) string) *Screen {
	if !IsTerminal(in) || !IsTerminal(out) || getenv("TERM") == "dumb" {
		return nil
	}
	cooked, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err != nil {
		return nil
	}
	s := &Screen{in: in, out: out, cooked: cooked}
	if !s.foreground() {
		return nil
	}
	return s
}

// Of returns what is to be written to instead of f: the screen, where f is its terminal.
func (s *Screen) Of(f *os.File) io.Writer {
	if s == nil || !IsTerminal(f) {
		return f
	}
	var a, b unix.Stat_t
	if unix.Fstat(int(f.Fd()), &a) != nil || unix.Fstat(int(s.out.Fd()), &b) != nil || a.Rdev != b.Rdev {
		return f
	}
	return s
}

// Write shows text. It never waits for a key.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.editor != nil {
		return s.editor.Write(p)
	}
	return s.out.Write(p)
}

// Terminals say where what is pasted begins and ends, when they are asked to (xterm's
// bracketed paste mode).
const (
	tellPastes   = "\x1b[?2004h"
	tellNoPastes = "\x1b[?2004l"
	defaultWidth = 80
)

// edit begins to edit lines with e, which reads single keys.
func (s *Screen) edit(e *Editor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // the process is about to end, and nobody would leave it again
		return
	}
	s.editor = e
	_, _ = s.out.WriteString(tellPastes)
	s.raw()
	e.resize(s.width())
}

// foreground tells whether the terminal is this process's for now. To change another's
// would stop the process.
func (s *Screen) foreground() bool {
	group, err := unix.IoctlGetInt(int(s.in.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// raw makes the terminal give each key as it is typed, Ctrl-C too. What is written is
// treated as before, since others may write there as well; Ctrl-Z and Ctrl-\ stay signals.
func (s *Screen) raw() {
	raw := *s.cooked
	raw.Iflag &^= unix.ICRNL | unix.INLCR | unix.IGNCR | unix.IXON
	raw.Lflag &^= unix.ICANON | unix.ECHO | unix.ECHONL | unix.IEXTEN
	raw.Cc[unix.VINTR] = 0 // no key
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if s.foreground() {
		_ = unix.IoctlSetTermios(int(s.in.Fd()), unix.TCSETS, &raw)
	}
}

// resume takes the terminal back as it was left, after the process was stopped or the
// window got another size.
func (s *Screen) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.editor == nil || s.closed {
		return
	}
	s.raw()
	s.editor.resize(s.width())
}

// width is the number of columns, where the terminal does not tell, as some lines and pseudo
// terminals, the usual one.
func (s *Screen) width() int {
	if width, _, err := term.GetSize(int(s.out.Fd())); err == nil && width > 0 {
		return width
	}
	return defaultWidth
}

// Close leaves the terminal as it was found. It is fine on a nil Screen, and twice.
func (s *Screen) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.editor == nil || !s.foreground() {
		return
	}
	end := tellNoPastes
	if s.editor.isReading() {
		end += "\n"
	}
	_, _ = s.out.WriteString(end)
	s.editor = nil
	_ = unix.IoctlSetTermios(int(s.in.Fd()), unix.TCSETSW, s.cooked)
}
