package source

import "strings"

// A Path is a name with those that it belongs to, and where it begins.
type Path struct {
	Text string
	At   int
}

// Last is the last name of the path.
func (p Path) Last() string { return p.Text[strings.LastIndexAny(p.Text, ".:")+1:] }

// LastAt is where the last name of the path begins.
func (p Path) LastAt() int { return p.At + len(p.Text) - len(p.Last()) }

// Paths lists the paths of a text: for a.b.c also a and a.b.
func Paths(text string) (list []Path) {
	begin, joined := -1, false // where the path began; whether a dot or colon came last
	for at := 0; at < len(text); {
		n, kind := Token(text[at:])
		token := text[at : at+n]
		switch {
		case kind == Word && (begin < 0 || !joined):
			begin, joined = at, false
			list = append(list, Path{token, at})
		case kind == Word:
			joined = false
			list = append(list, Path{text[begin : at+n], begin})
		case (token == "." || token == ":") && begin >= 0 && !joined:
			joined = true
		default:
			begin, joined = -1, false
		}
		at += n
	}
	return list
}
