package source

import (
	"regexp"
	"strings"
)

// A command that is no Lua but plainly meant as a call (net.bufsize 4096).
var callWithoutParentheses = regexp.MustCompile(
	`^\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s+(-?[0-9][\w.+-]*|true|false|nil)\s*;?\s*$`)

// Commands that are calls without their parentheses.
var bareCommand = regexp.MustCompile(`^\s*(help|quit)\s*;?\s*$`)

// A Reading is a command as the machine can compile it.
type Reading struct {
	Text  string
	Value bool // its first value is printed; else it is shown if it is text
	Quiet bool // no value, or nil, is printed as nothing
}

// Readings lists those of a command in the order in which they are tried: as
// an expression, as statements, as a call that lacks its parentheses.
func Readings(text string) []Reading {
	if m := bareCommand.FindStringSubmatch(text); m != nil {
		return []Reading{{Text: "return " + m[1] + "()", Value: true}}
	}
	if Blank(text) {
		return []Reading{{}}
	}
	list := []Reading{{Text: "return " + text, Value: true}, {Text: text}}
	if m := callWithoutParentheses.FindStringSubmatch(text); m != nil {
		list = append(list, Reading{Text: "return " + m[1] + "(" + m[2] + ")", Value: true, Quiet: true})
	}
	return list
}

// Blank tells whether a text is only space and whole comments. (As an
// expression it would compile and print nil.)
func Blank(text string) bool {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v")
		comment, ok := strings.CutPrefix(text, "--")
		if !ok {
			return text == ""
		}
		if level := longBracket(comment); level >= 0 {
			_, after, closed := strings.Cut(comment, "]"+strings.Repeat("=", level)+"]")
			if !closed {
				return false
			}
			text = after
			continue
		}
		_, text, _ = strings.Cut(comment, "\n")
	}
}
