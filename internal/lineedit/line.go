package lineedit

import (
	"slices"
	"unicode"
)

// A line is what is being typed, and the place of the cursor in it.
type line struct {
	text   []rune
	pos    int
	killed []rune // what was cut out last
}

func (l *line) set(text string) {
	l.text = []rune(text)
	l.pos = len(l.text)
}

func (l *line) insert(r ...rune) {
	l.text = slices.Insert(l.text, l.pos, r...)
	l.pos += len(r)
}

// cut takes out what lies between two places.
func (l *line) cut(from, to int) []rune {
	out := slices.Clone(l.text[from:to])
	l.text = slices.Delete(l.text, from, to)
	l.pos = from
	return out
}

// kill is cut for what can be put in again.
func (l *line) kill(from, to int) {
	if from < to {
		l.killed = l.cut(from, to)
	}
}

// left is the place one character before the cursor. What combines with a character is a
// part of it.
func (l *line) left() int {
	i := max(l.pos-1, 0)
	for i > 0 && columnsOf(l.text[i]) == 0 {
		i--
	}
	return i
}

func (l *line) right() int {
	i := min(l.pos+1, len(l.text))
	for i < len(l.text) && columnsOf(l.text[i]) == 0 {
		i++
	}
	return i
}

// wordLeft is where the word begins that stands before the cursor.
func (l *line) wordLeft() int {
	i := l.pos
	for i > 0 && !inWord(l.text[i-1]) {
		i--
	}
	for i > 0 && inWord(l.text[i-1]) {
		i--
	}
	return i
}

func (l *line) wordRight() int {
	i := l.pos
	for i < len(l.text) && !inWord(l.text[i]) {
		i++
	}
	for i < len(l.text) && inWord(l.text[i]) {
		i++
	}
	return i
}

// blankLeft is where the text begins that stands between the cursor and a blank before it.
func (l *line) blankLeft() int {
	i := l.pos
	for i > 0 && l.text[i-1] == ' ' {
		i--
	}
	for i > 0 && l.text[i-1] != ' ' {
		i--
	}
	return i
}

func inWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// edit does what a key does to the line alone, and tells whether it does that.
func (l *line) edit(k key) bool {
	switch k {
	case keyLeft:
		l.pos = l.left()
	case keyRight:
		l.pos = l.right()
	case keyWordLeft:
		l.pos = l.wordLeft()
	case keyWordRight:
		l.pos = l.wordRight()
	case keyLineStart:
		l.pos = 0
	case keyLineEnd:
		l.pos = len(l.text)
	default:
		return l.change(k)
	}
	return true
}

// change does what a key does to the text.
func (l *line) change(k key) bool {
	switch k {
	case keyBackspace:
		l.cut(l.left(), l.pos)
	case keyDelete, keyEnd:
		l.cut(l.pos, l.right())
	case keyKillWordLeft:
		l.kill(l.blankLeft(), l.pos)
	case keyKillWordRight:
		l.kill(l.pos, l.wordRight())
	case keyKillLeft:
		l.kill(0, l.pos)
	case keyKillRight:
		l.kill(l.pos, len(l.text))
	case keyYank:
		l.insert(l.killed...)
	case keyTranspose:
		l.transpose()
	default:
		if k < 0 {
			return false
		}
		l.insert(rune(k))
	}
	return true
}

// transpose exchanges the characters around the cursor, or the two before it at the end.
func (l *line) transpose() {
	at := min(l.pos, len(l.text)-1)
	if at < 1 {
		return
	}
	l.text[at-1], l.text[at] = l.text[at], l.text[at-1]
	l.pos = at + 1
}
