package kresc

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/peterh/liner"
	"golang.org/x/sys/unix"

	"kresd/internal/console"
	"kresd/internal/safe"
)

// newReader edits lines where the terminal can, and else only reads them.
func (c *client) newReader(complete func(text string) []string) lineReader {
	if liner.TerminalSupported() && isTerminal(c.streams.Out) {
		sized(c.streams.Out)
		return newEditor(complete)
	}
	show := c.streams.Out
	if !isTerminal(show) {
		show = c.streams.Err
	}
	r := &plainReader{lines: make(chan string), signals: c.signals, out: show}
	safe.Go("lines", nil, func() { r.scan(c.streams.In) })
	return r
}

// sized gives a terminal that does not know its size, as some lines and pseudo terminals,
// the usual one. Nothing can be edited in no columns.
func sized(terminal *os.File) {
	fd := int(terminal.Fd())
	if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil && size.Col == 0 {
		_ = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
}

// An editor reads lines from a terminal that can move its cursor.
type editor struct {
	*liner.State
	history *console.Kept
}

func newEditor(complete func(text string) []string) *editor {
	e := &editor{State: liner.NewLiner(), history: console.OpenKept(os.Getenv)}
	e.restoreOn(unix.SIGTERM, unix.SIGHUP)
	e.SetCtrlCAborts(true)
	e.SetMultiLineMode(true)
	e.SetTabCompletionStyle(liner.TabPrints)
	e.SetWordCompleter(func(line string, pos int) (head string, words []string, tail string) {
		return completeWord(line, pos, complete)
	})
	for _, line := range e.history.Load() {
		e.AppendHistory(line)
	}
	return e
}

// restoreOn gives the terminal back its modes when a signal ends the program.
func (e *editor) restoreOn(signals ...os.Signal) {
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, signals...)
	safe.Go("terminal", nil, func() {
		number, _ := (<-taken).(unix.Signal)
		e.close()
		os.Exit(128 + int(number))
	})
}

// completeWord completes the word before the cursor, pos characters into the line.
func completeWord(line string, pos int, complete func(text string) []string) (head string, words []string, tail string) {
	runes := []rune(line)
	before := string(runes[:pos])
	return before[:console.WordStart(before)], complete(before), string(runes[pos:])
}

func (e *editor) read(prompt string) (string, error) {
	line, err := e.Prompt(prompt)
	if errors.Is(err, liner.ErrPromptAborted) {
		return "", errDropped
	}
	return line, err
}

// remember keeps a line, but one that begins with a blank or repeats the one before.
func (e *editor) remember(line string) {
	if strings.TrimSpace(line) == "" || line[0] == ' ' {
		return
	}
	e.AppendHistory(line)
	e.history.Add(line)
}

func (e *editor) close() { _ = e.Close() }

// A plainReader reads lines from a terminal that cannot move its cursor, or that shows
// nothing of the output.
type plainReader struct {
	lines   chan string // closed at the end of the input
	signals <-chan os.Signal
	out     io.Writer
}

func (r *plainReader) scan(in io.Reader) {
	defer close(r.lines)
	for lines := bufio.NewReader(in); ; {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.lines <- strings.TrimSuffix(line, "\n")
		}
		if err != nil {
			return
		}
	}
}

func (r *plainReader) read(prompt string) (string, error) {
	_, _ = io.WriteString(r.out, prompt)
	select {
	case line, ok := <-r.lines:
		if !ok {
			return "", io.EOF
		}
		return line, nil
	case <-r.signals:
		_, _ = io.WriteString(r.out, "\n")
		return "", errDropped
	}
}

func (r *plainReader) remember(string) {}
func (r *plainReader) close()          {}
