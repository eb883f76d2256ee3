package kresc

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"kresd/internal/lineedit"
)

// show writes what a command gave: values to the standard output, errors to the standard
// error. With several workers each has a heading.
func (c *client) show(replies []reply) {
	switch {
	case c.options.JSON && c.several():
		c.showList(replies)
	case c.several():
		c.showEach(replies)
	default:
		c.showOne(replies[0])
	}
}

// several tells whether results need to say whose they are: those of --all do, also
// where there is one worker, so that who reads them meets one form.
func (c *client) several() bool { return c.options.All || len(c.workers) > 1 }

func (c *client) showOne(r reply) {
	switch {
	case r.err != nil:
		c.complain(r.err)
	case r.raised:
		c.writeError(line(r.text))
	default:
		c.writeValue(line(r.text))
	}
}

// writeValue writes what a worker says, of which parts may come from anybody.
func (c *client) writeValue(text string) { c.write(visibleOn(c.streams.Out, text)) }

func (c *client) writeError(text string) {
	_, _ = c.streams.Err.WriteString(visibleOn(c.streams.Err, text))
}

// visibleOn is text as a terminal may be given it: what would steer the terminal shows as a
// backslash and a number. Files and pipes get the text itself.
func visibleOn(f *os.File, text string) string {
	if !lineedit.IsTerminal(f) {
		return text
	}
	return visible(text)
}

func visible(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch _, n := utf8.DecodeRuneInString(text[i:]); {
		case r == utf8.RuneError && n == 1, r != '\n' && r != '\t' && unicode.IsControl(r):
			for _, octet := range []byte(text[i : i+n]) {
				fmt.Fprintf(&b, "\\%03d", octet)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// line ends a text that is not empty with a newline.
func line(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

func (c *client) showEach(replies []reply) {
	for _, r := range replies {
		c.write(c.bold(fmt.Sprintf("# group %d, worker %d, process %d", r.Group, r.Worker, r.PID)) + "\n")
		c.writeValue(line(r.printed))
		switch {
		case r.err != nil:
			c.complain(r.err)
		case r.raised:
			c.writeError(line(r.name() + ": " + r.text))
		default:
			c.writeValue(line(r.text))
		}
	}
}

// A listed reply is an element of the array that stands for a command with --all --json.
// Either Result or Error is there.
type listed struct {
	Group   int             `json:"group"`
	Worker  int             `json:"worker"`
	PID     int             `json:"pid"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   string          `json:"error,omitempty"`
	Printed string          `json:"printed,omitempty"`
}

func (c *client) showList(replies []reply) {
	list := make([]listed, 0, len(replies))
	for _, r := range replies {
		l := listed{Group: r.Group, Worker: r.Worker, PID: r.PID, Printed: r.printed}
		switch {
		case r.err != nil:
			l.Error = r.err.Error()
		case r.raised:
			l.Error = r.text
		default:
			l.Result = json.RawMessage(strings.TrimSuffix(r.text, "\n"))
		}
		list = append(list, l)
	}
	c.writeJSON(list)
}

// writeJSON writes v on a line of its own.
func (c *client) writeJSON(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		c.complain(err)
		return
	}
	c.write(string(text) + "\n")
}
