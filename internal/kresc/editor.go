package kresc

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"kresd/internal/lineedit"
	"kresd/internal/safe"
)

// newReader edits lines where the terminal can, and else only reads them.
func (c *client) newReader(complete func(before string) []string) lineReader {
	if screen := lineedit.NewScreen(c.streams.In, c.streams.Out, os.Getenv); screen != nil {
		return c.newEditor(screen, complete)
	}
	show := c.streams.Out
	if !lineedit.IsTerminal(show) {
		show = c.streams.Err
	}
	r := &plainReader{lines: make(chan string), signals: c.signals, out: show}
	safe.Go("lines", nil, func() { r.scan(c.streams.In) })
	return r
}

// An editor reads lines from a terminal that can move its cursor.
type editor struct {
	*lineedit.Editor
	signals chan<- os.Signal
}

func (c *client) newEditor(screen *lineedit.Screen, complete func(before string) []string) *editor {
	e := &editor{lineedit.NewEditor(screen, lineedit.OpenKept(os.Getenv), complete), c.signals}
	e.restoreOn(unix.SIGTERM, unix.SIGHUP)
	return e
}

// restoreOn gives the terminal back its modes when a signal ends the program.
func (e *editor) restoreOn(signals ...os.Signal) {
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, signals...)
	safe.Go("terminal", nil, func() {
		number, _ := (<-taken).(unix.Signal)
		e.Close()
		os.Exit(128 + int(number))
	})
}

func (e *editor) read(prompt string) (string, error) {
	line, err := e.ReadLine(prompt, prompt == morePrompt)
	if errors.Is(err, lineedit.ErrInterrupted) {
		return "", errDropped
	}
	return line, err
}

// during has Ctrl-C, which is a key while lines are edited, be what it is elsewhere.
func (e *editor) during(run func()) {
	e.During(func() {
		select {
		case e.signals <- os.Interrupt:
		default: // one is on its way
		}
	}, run)
}

func (e *editor) close() { e.Close() }

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

func (r *plainReader) during(run func()) { run() }
func (r *plainReader) close()            {}
