package lineedit

import (
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"
)

// widths says how many columns characters take: two for those that are wide everywhere,
// none for those that combine with the one before.
var widths = runewidth.Condition{}

func columnsOf(r rune) int { return widths.RuneWidth(r) }

// A spot is a place on the screen, counted from where the prompt begins.
type spot struct{ row, column int }

// after is where the text ends that begins at s, on a terminal of so many columns. A
// character that does not fit into its row stands in the next; so does the cursor behind a
// full one.
func (s spot) after(text []rune, width int) spot {
	for _, r := range text {
		w := columnsOf(r)
		if s.column+w > width {
			s = spot{s.row + 1, 0}
		}
		s.column += w
	}
	if s.column >= width {
		s = spot{s.row + 1, 0}
	}
	return s
}

// A picture is what stands on the screen.
type picture struct {
	text   []rune // prompt and line, as shown
	cursor int    // its place in text
	at     spot   // of the cursor
}

// shown is a text as it is shown: a character that moves the cursor is a blank.
func shown(text []rune) []rune {
	out := make([]rune, len(text))
	for i, r := range text {
		if out[i] = r; r < ' ' || r == 127 {
			out[i] = ' '
		}
	}
	return out
}

// erase takes the picture off the screen, and is what to write for that. Where there is none
// the cursor stays where it is, behind what others have written.
func (p *picture) erase() string {
	if len(p.text) == 0 {
		return ""
	}
	up := ""
	if p.at.row > 0 {
		up = fmt.Sprintf("\x1b[%dA", p.at.row)
	}
	*p = picture{}
	return up + "\r\x1b[J"
}

// paint puts text on the screen in the place of what stands there, and is what to write.
func (p *picture) paint(text []rune, cursor, width int) string {
	end := spot{}.after(text, width)
	if more, ok := p.appended(text, cursor, end); ok {
		*p = picture{text, cursor, end}
		return more
	}
	var b strings.Builder
	b.WriteString(p.erase())
	b.WriteString(string(text))
	if len(text) > 0 && end.column == 0 && end.row > 0 {
		b.WriteByte('\n') // the terminal's own cursor stands at the end of the full row
	}
	at := spot{}.after(text[:cursor], width)
	if at.row < end.row {
		fmt.Fprintf(&b, "\x1b[%dA", end.row-at.row)
	}
	if at != end {
		b.WriteByte('\r')
		if at.column > 0 {
			fmt.Fprintf(&b, "\x1b[%dC", at.column)
		}
	}
	*p = picture{text, cursor, at}
	return b.String()
}

// appended is what to write where text is what stands there and a little more in the same
// row, which is most often so.
func (p *picture) appended(text []rune, cursor int, end spot) (more string, ok bool) {
	n := len(p.text)
	if n == 0 || p.cursor != n || cursor != len(text) || len(text) < n || end.row != p.at.row || string(text[:n]) != string(p.text) {
		return "", false
	}
	return string(text[n:]), true
}
