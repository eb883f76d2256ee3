package lineedit

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"kresd/internal/safe"
)

// ErrInterrupted is returned for a line that Ctrl-C has ended.
var ErrInterrupted = errors.New("the line was dropped")

// An Editor reads lines from a Screen. ReadLine and During are for one goroutine at a time.
type Editor struct {
	screen   *Screen
	out      io.Writer
	keys     *keys
	complete func(before string) []string
	stop     func()

	mu      sync.Mutex
	reading bool
	width   int
	prompt  string
	more    bool
	line    line
	typed   []byte // not decoded yet
	cr      bool   // the key before these was a carriage return
	pasting bool
	search  *search
	past    *history
	back    int    // which line of the history is shown, 0 being the latest; -1: none
	mine    string // what was typed before one was
	painted picture
}

// NewEditor takes the terminal of s, until Close. What may stand in place of the word before
// the cursor complete says, given all of the line before that. Where lines are kept kept
// says.
func NewEditor(s *Screen, kept *Kept, complete func(before string) []string) *Editor {
	ctx, cancel := context.WithCancel(context.Background())
	tasks := &safe.Group{}
	e := &Editor{screen: s, out: s.out, complete: complete, stop: cancel, past: &history{lines: kept.Load(), kept: kept}, back: -1, width: defaultWidth}
	e.keys = readKeys(ctx, tasks, s.in)
	s.edit(e)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT)
	tasks.Go("terminal signals", func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-signals:
				s.resume()
			case <-ctx.Done():
				return
			}
		}
	})
	return e
}

// Close leaves the terminal as it was found. ReadLine returns then. It is fine twice.
func (e *Editor) Close() {
	e.stop()
	e.screen.Close()
}

// During runs a command that Ctrl-C ends by calling interrupt.
func (e *Editor) During(interrupt func(), run func()) { e.keys.during(interrupt, run) }

// ReadLine reads a line behind a prompt. With more it goes on with a command, and Tab at its
// beginning moves it in. After ErrInterrupted the line is what was dropped; after io.EOF
// there is nothing more.
func (e *Editor) ReadLine(prompt string, more bool) (string, error) {
	e.mu.Lock()
	e.prompt, e.more, e.reading = prompt, more, true
	e.line.set("")
	e.show()
	e.mu.Unlock()
	defer e.pause()
	b := make([]byte, 4096)
	for n := 0; ; { // what is typed already comes first
		if text, ended, err := e.take(b[:n]); ended {
			return text, err
		}
		var err error
		if n, err = e.keys.Read(b); err != nil {
			return "", io.EOF
		}
	}
}

// pause is the end of ReadLine: what is written from now on stands where the cursor is.
func (e *Editor) pause() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reading, e.search, e.back, e.mine = false, nil, -1, ""
	e.painted = picture{}
}

// take does what keys do, until one ends the line.
func (e *Editor) take(b []byte) (text string, ended bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.typed = append(e.typed, b...)
	for {
		e.skipLineFeed()
		k, n := decode(e.typed)
		if n == 0 {
			e.show()
			return "", false, nil
		}
		literal := e.typed[0]
		if e.typed = e.typed[n:]; e.pasting && k == keyTab {
			k = key(literal)
		}
		e.cr = literal == '\r'
		if ended, err := e.press(k); ended {
			text := string(e.line.text)
			if err == nil {
				e.past.Add(text)
			}
			return text, true, err
		}
	}
}

// skipLineFeed drops the second octet of CR LF, which ends one line and not two. It may be
// typed, or pasted, later than the first.
func (e *Editor) skipLineFeed() {
	if e.cr && len(e.typed) > 0 {
		e.cr = false
		if e.typed[0] == '\n' {
			e.typed = e.typed[1:]
		}
	}
}

// press does what a key does, and tells whether it ends the line.
func (e *Editor) press(k key) (ended bool, err error) {
	if e.search != nil && k != keyNothing {
		if e.search.key(k, e.past, &e.line) {
			return false, nil
		}
		if e.search = nil; k == keyCancel {
			e.line.set("")
			return false, nil
		}
	}
	switch k {
	case keyEnter:
		e.leave("\n")
		return true, nil
	case keyInterrupt:
		e.leave("^C\n")
		return true, ErrInterrupted
	case keyEnd:
		if len(e.line.text) == 0 {
			e.show()
			return true, io.EOF
		}
	case keyPasteStart, keyPasteEnd:
		e.pasting = k == keyPasteStart
		return false, nil
	}
	e.assist(k)
	return false, nil
}

// assist does what a key does to a line that goes on.
func (e *Editor) assist(k key) {
	switch k {
	case keyTab:
		e.tab()
	case keyOlder:
		e.recall(e.back + 1)
	case keyNewer:
		e.recall(e.back - 1)
	case keySearch:
		e.search = &search{at: -1}
	case keyClearScreen:
		e.write("\x1b[H\x1b[2J")
		e.painted = picture{}
	default:
		e.line.edit(k)
	}
}

// recall shows a line of the history; -1: what was typed.
func (e *Editor) recall(i int) {
	if i < -1 || i >= e.past.Len() {
		return
	}
	if e.back < 0 {
		e.mine = string(e.line.text)
	}
	if e.back = i; i < 0 {
		e.line.set(e.mine)
		return
	}
	e.line.set(e.past.At(i))
}

// tab completes the word before the cursor, or shows what it may become. Others write
// meanwhile; keys wait.
func (e *Editor) tab() {
	before := string(e.line.text[:e.line.pos])
	if e.more && strings.TrimSpace(before) == "" {
		e.line.insert([]rune("    ")...)
		return
	}
	e.show()
	e.mu.Unlock()
	words := e.complete(before)
	e.mu.Lock()
	after, list := completed(before, words)
	if list != nil {
		e.write(e.painted.erase() + columns(list, e.width))
	}
	tail := e.line.text[e.line.pos:]
	e.line.pos = len([]rune(after))
	e.line.text = append([]rune(after), tail...)
}

// show paints the line as it is now.
func (e *Editor) show() {
	prompt := []rune(e.prompt)
	if e.search != nil {
		prompt = []rune(e.search.prompt())
	}
	text := append(prompt, shown(e.line.text)...)
	e.write(e.painted.paint(text, len(prompt)+e.line.pos, e.width))
}

// leave puts the cursor behind the line and writes what ends it there.
func (e *Editor) leave(end string) {
	pos := e.line.pos
	e.line.pos = len(e.line.text)
	if e.show(); e.painted.at.column == 0 && e.painted.at.row > 0 {
		end = strings.TrimPrefix(end, "\n") // the cursor is in a row of its own already
	}
	e.line.pos = pos
	e.write(end)
}

// write is for the terminal, which returns the carriage at the end of a line as it does for
// what others write there.
func (e *Editor) write(text string) {
	if text != "" {
		_, _ = io.WriteString(e.out, text)
	}
}

// Write shows text above the line that is being typed.
func (e *Editor) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.reading || len(p) == 0 {
		return e.out.Write(p)
	}
	e.write(e.painted.erase())
	n, err := e.out.Write(p)
	if p[len(p)-1] != '\n' {
		e.write("\n")
	}
	e.show()
	return n, err
}

// isReading tells whether a line is being typed.
func (e *Editor) isReading() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reading
}

// resize paints anew on a terminal that has another width.
func (e *Editor) resize(width int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if width == e.width {
		return
	}
	e.width = width
	if e.reading {
		e.painted.at = spot{}.after(e.painted.text[:e.painted.cursor], width) // the terminal has moved what is in the rows
		e.write(e.painted.erase())
		e.show()
	}
}
