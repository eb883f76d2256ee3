package source

import "strings"

// A Statement is a statement of a Lua text, wherever it stands.
type Statement struct {
	From, To    int      // octets of the text
	First, Last int      // lines, from 1
	Local       bool     // it declares its names
	Names       []string // variables that it assigns to
	inner       []Statement
}

// StatementAt is the innermost statement of text that line is a part of, the first
// where there are several; ok is false where there is none.
func StatementAt(text string, line int) (s Statement, ok bool) {
	o := outline{tokens: spans(text)}
	return innermostAt(o.block(), line)
}

func innermostAt(list []Statement, line int) (Statement, bool) {
	for _, s := range list {
		if line < s.First || line > s.Last {
			continue
		}
		if inner, ok := innermostAt(s.inner, line); ok {
			return inner, true
		}
		return s, true
	}
	return Statement{}, false
}

// Without is text in which spaces stand in place of a statement, so that all else
// keeps its place; what it declared is still declared.
func (s Statement) Without(text string) string {
	left := ""
	if s.Local {
		left = "local " + strings.Join(s.Names, ",")
		if left == text[s.From:s.To] || len(left) > s.To-s.From {
			left = ""
		}
	}
	var b strings.Builder
	b.WriteString(text[:s.From])
	b.WriteString(left)
	for _, c := range []byte(text[s.From+len(left) : s.To]) {
		if c != '\n' {
			c = ' '
		}
		b.WriteByte(c)
	}
	b.WriteString(text[s.To:])
	return b.String()
}

// An outline finds the statements of a text. It reads what is no Lua, too: then it
// is right as far as the words that open and close blocks are.
type outline struct {
	tokens []span
	at     int
}

func (o *outline) peek() string {
	if o.at < len(o.tokens) && o.tokens[o.at].kind != Quoted {
		return o.tokens[o.at].text
	}
	return ""
}

func (o *outline) more() bool { return o.at < len(o.tokens) }

// accept steps over a token with this text.
func (o *outline) accept(text string) bool {
	if o.more() && o.peek() == text {
		o.at++
		return true
	}
	return false
}

// block reads statements up to the word that closes the block, which it leaves. What
// closes no block is stepped over at the end of the outermost one.
func (o *outline) block() (list []Statement) {
	for o.more() && !closesBlock(o.peek()) {
		if o.accept(";") {
			continue
		}
		list = append(list, o.statement())
	}
	return list
}

func closesBlock(word string) bool {
	switch word {
	case "end", "else", "elseif", "until":
		return true
	}
	return false
}

func (o *outline) statement() Statement {
	first := o.tokens[o.at]
	s := Statement{From: first.from, First: first.line}
	switch o.peek() {
	case "if":
		o.branches(&s)
	case "while", "for":
		o.expressions(&s, "do")
		o.body(&s)
	case "do":
		o.body(&s)
	case "repeat":
		o.at++
		s.inner = append(s.inner, o.block()...)
		o.accept("until")
		o.expressions(&s, "")
	case "function":
		o.at++
		o.function(&s)
	default:
		o.plain(&s)
	}
	last := o.tokens[o.at-1]
	s.To, s.Last = last.to(), last.lastLine()
	return s
}

// plain reads a declaration, an assignment, a call, or what stands alone.
func (o *outline) plain(s *Statement) {
	s.Local = o.accept("local")
	if s.Local && o.accept("function") {
		s.Names = []string{o.peek()}
		o.function(s)
		return
	}
	from := o.at
	o.expressions(s, "")
	s.Names = o.assigned(from, s.Local)
	s.Local = s.Local && len(s.Names) > 0
}

// assigned are the variables in front of the equal sign of what begins at token i.
func (o *outline) assigned(i int, alone bool) (names []string) {
	for ; i+1 <= o.at && i < len(o.tokens) && o.tokens[i].kind == Word; i += 2 {
		names = append(names, o.tokens[i].text)
		switch {
		case i+1 < o.at && o.tokens[i+1].text == ",":
		case i+1 < o.at && o.tokens[i+1].text == "=", alone && i+1 == o.at:
			return names
		default:
			return nil
		}
	}
	return nil
}

// branches reads from "if" to its "end".
func (o *outline) branches(s *Statement) {
	for o.accept("if") || o.accept("elseif") {
		o.expressions(s, "then")
		o.accept("then")
		s.inner = append(s.inner, o.block()...)
	}
	if o.accept("else") {
		s.inner = append(s.inner, o.block()...)
	}
	o.accept("end")
}

// body reads from "do" to its "end".
func (o *outline) body(s *Statement) {
	o.accept("do")
	s.inner = append(s.inner, o.block()...)
	o.accept("end")
}

// function reads from behind the word to its "end".
func (o *outline) function(s *Statement) {
	for depth := 0; o.more(); {
		switch token := o.peek(); {
		case token == "(":
			depth++
		case token == ")":
			depth--
		case depth == 0 && (startsStatement(token) || closesBlock(token)): // no parameters
			depth = -1
		}
		if depth < 0 {
			break
		}
		o.at++
		if depth == 0 && o.tokens[o.at-1].text == ")" {
			break
		}
	}
	s.inner = append(s.inner, o.block()...)
	o.accept("end")
}

// expressions reads up to a word that stops it, or to where a statement begins or a
// block ends. It reads one token at least.
func (o *outline) expressions(s *Statement, stop string) {
	depth := 0
	for first := true; o.more(); first = false {
		token := o.peek()
		switch {
		case stop != "" && token == stop:
			return
		case !first && depth <= 0 && (closesBlock(token) || token == ";" || o.begins()):
			return
		case token == "function":
			o.at++
			o.function(s)
			continue
		}
		depth += map[string]int{"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}[token]
		o.at++
	}
}

// begins tells whether the next token begins a statement: words that only do that,
// and what cannot follow the end of an expression.
func (o *outline) begins() bool {
	next, before := o.tokens[o.at], o.tokens[o.at-1]
	if next.kind != Word {
		return false
	}
	if next.text != "function" && startsStatement(next.text) {
		return true
	}
	return endsExpression(before) && !operator(next.text) && next.text != "do" && next.text != "then"
}

func startsStatement(word string) bool {
	switch word {
	case "if", "while", "for", "repeat", "local", "return", "break", "goto", "function", "do":
		return true
	}
	return false
}

func operator(word string) bool {
	switch word {
	case "and", "or", "not", "in":
		return true
	}
	return false
}

func endsExpression(t span) bool {
	switch {
	case t.kind == Quoted, t.text == ")", t.text == "]", t.text == "}", t.text == "end":
		return true
	case t.kind != Word:
		return false
	}
	return !operator(t.text) && !startsStatement(t.text)
}
