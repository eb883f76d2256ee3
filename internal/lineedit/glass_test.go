package lineedit

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// glass is a terminal as far as the Editor knows one: it keeps what stands in its rows.
type glass struct {
	width, row, column int
	rows               [][]rune // 0 stands for the second half of a wide character
	full               bool     // the last column of the row was written, the next character goes to the next row
}

func newGlass(width int) *glass { return &glass{width: width, rows: [][]rune{nil}} }

func (g *glass) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		switch {
		case bytes.HasPrefix(p, []byte("\x1b[")):
			end := bytes.IndexFunc(p[2:], func(r rune) bool { return r >= '@' })
			g.sequence(string(p[2:2+end]), p[2+end])
			p = p[3+end:]
			continue
		case p[0] == '\n':
			g.row, g.column, g.full = g.row+1, 0, false
			g.grow()
		case p[0] == '\r':
			g.column, g.full = 0, false
		default:
			r, size := utf8.DecodeRune(p)
			g.put(r)
			p = p[size:]
			continue
		}
		p = p[1:]
	}
	return n, nil
}

func (g *glass) grow() {
	for len(g.rows) <= g.row {
		g.rows = append(g.rows, nil)
	}
}

func (g *glass) sequence(parameter string, final byte) {
	n, _ := strconv.Atoi(parameter)
	g.full = false
	switch final {
	case 'A':
		g.row = max(g.row-n, 0)
	case 'C':
		g.column = min(g.column+n, g.width-1)
	case 'H':
		g.row, g.column = 0, 0
	case 'J':
		if parameter == "2" {
			g.rows = [][]rune{nil}
			return
		}
		g.rows = g.rows[:g.row+1]
		if row := g.rows[g.row]; len(row) > g.column {
			g.rows[g.row] = row[:g.column]
		}
	}
}

func (g *glass) put(r rune) {
	w := columnsOf(r)
	if g.full && w > 0 || g.column+w > g.width {
		g.row, g.column, g.full = g.row+1, 0, false
		g.grow()
	}
	row := g.rows[g.row]
	for len(row) < g.column+w {
		row = append(row, ' ')
	}
	if w == 0 {
		return // it stands in the place of the one before
	}
	row[g.column] = r
	if w == 2 {
		row[g.column+1] = 0
	}
	g.rows[g.row] = row
	if g.column += w; g.column == g.width {
		g.column, g.full = g.width-1, true
	}
}

// String is what stands there, with | where the cursor is.
func (g *glass) String() string {
	var b strings.Builder
	for i, row := range g.rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		for len(row) <= g.column && i == g.row {
			row = append(row, ' ')
		}
		text := ""
		for j, r := range row {
			if i == g.row && j == g.column {
				text += "|"
			}
			if r != 0 {
				text += string(r)
			}
		}
		b.WriteString(strings.TrimRight(text, " "))
	}
	return b.String()
}
