package command

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
)

// Shown is the console's form of the value at i, table_print() to scripts: a
// scalar and a newline; or the entries of a table, one a line, those of tables
// inside it indented by four blanks. Integer keys come first and ascend, the
// others follow in byte order of their text.
func (in *Interpreter) Shown(l *lua.State, i int) string {
	p := printer{in: in, l: l, path: map[any]bool{}}
	if !in.Opens(l, i) {
		return scalar(l, i) + "\n"
	}
	p.table(l.AbsIndex(i), "")
	return p.b.String()
}

type printer struct {
	in   *Interpreter
	l    *lua.State
	b    strings.Builder
	path map[any]bool // the tables around the place
	full bool
}

// A shown entry: where its value is, and its key.
type shown struct {
	key  any
	text string
}

func (p *printer) table(i int, indent string) {
	l := p.l
	if !l.CheckStack(lua.MinStack) {
		return
	}
	self := l.ToValue(i)
	p.path[self] = true
	defer delete(p.path, self)
	p.in.PushShown(l, i)
	entries := l.Top()
	for _, key := range p.keys(entries) {
		l.PushLightUserData(key.key)
		l.RawGet(entries)
		p.entry(key.text, l.Top(), indent)
		l.Pop(1)
	}
	l.Pop(1)
}

// keys lists the keys of a table in printing order.
func (p *printer) keys(i int) []shown {
	l := p.l
	var list []shown
	for l.PushNil(); l.Next(i); l.Pop(1) {
		list = append(list, shown{l.ToValue(-2), scalar(l, -2)})
	}
	slices.SortFunc(list, func(a, b shown) int {
		return luavalue.CompareKeys(printOrder(a), printOrder(b))
	})
	return list
}

func printOrder(s shown) any {
	if n, ok := s.key.(float64); ok && n == math.Trunc(n) {
		return n
	}
	return s.text
}

func (p *printer) entry(key string, i int, indent string) {
	if p.full {
		return
	}
	l := p.l
	if p.in.Opens(l, i) && !p.path[l.ToValue(i)] {
		p.line(indent + "[" + escape(key) + "] => {")
		p.table(i, indent+"    ")
		p.line(indent + "}")
		return
	}
	p.line(indent + "[" + escape(key) + "] => " + escape(scalar(l, i)))
}

// line writes a line, unless the output has got too long.
func (p *printer) line(text string) {
	switch {
	case p.full:
	case p.b.Len()+len(text) >= limits.ConsoleOutput:
		p.full = true
		p.b.WriteString("...\n")
	default:
		p.b.WriteString(text)
		p.b.WriteByte('\n')
	}
}

// scalar is a value's text; for what has none its type and address.
func scalar(l *lua.State, i int) string {
	switch v := l.ToValue(i).(type) {
	case string:
		return v
	case float64:
		return luavalue.FormatNumber(v)
	case bool:
		return strconv.FormatBool(v)
	}
	switch l.TypeOf(i) {
	case lua.TypeNil, lua.TypeNone:
		return "nil"
	case lua.TypeUserData:
		l.PushValue(i)
		text, _ := lua.ToStringMeta(l, l.Top())
		l.Pop(2)
		return text
	}
	return fmt.Sprintf("%s: %p", l.TypeOf(i), l.ToValue(i))
}

// escape shows text inside of a table: other octets than printable ASCII as a
// backslash and their decimal value, cut after 81 octets.
func escape(text string) string {
	const most = 81
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() <= most; i++ {
		if c := text[i]; c < 0x20 || c > 0x7e {
			b.WriteByte('\\')
			b.WriteString(strconv.Itoa(int(c)))
		} else {
			b.WriteByte(c)
		}
	}
	if b.Len() > most {
		return b.String()[:most] + "..."
	}
	return b.String()
}
