package script

import (
	"regexp"
	"strings"
)

// A command that is no Lua but plainly meant as a call (net.bufsize 4096).
var callWithoutParentheses = regexp.MustCompile(
	`^\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s+(-?[0-9][\w.+-]*|true|false|nil)\s*;?\s*$`)

// Commands that are calls without their parentheses.
var bareCommand = regexp.MustCompile(`^\s*(help|quit)\s*;?\s*$`)

// A reading is a command as the machine can compile it.
type reading struct {
	text  string
	value bool // its first value is printed; else it is shown if it is text
	quiet bool // no value, or nil, is printed as nothing
}

// readings lists those of a command in the order in which they are tried: as
// an expression, as statements, as a call that lacks its parentheses.
func readings(text string) []reading {
	if m := bareCommand.FindStringSubmatch(text); m != nil {
		return []reading{{text: "return " + m[1] + "()", value: true}}
	}
	if blank(text) {
		return []reading{{}}
	}
	list := []reading{{text: "return " + text, value: true}, {text: text}}
	if m := callWithoutParentheses.FindStringSubmatch(text); m != nil {
		list = append(list, reading{text: "return " + m[1] + "(" + m[2] + ")", value: true, quiet: true})
	}
	return list
}

// blank tells whether a text is only space and whole comments. (As an
// expression it would compile and print nil.)
func blank(text string) bool {
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
