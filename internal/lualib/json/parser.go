package json

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// A parser reads a text as lua-cjson does, and words what is wrong as that does.
type parser struct {
	text    string
	at      int
	depth   int
	values  int
	most    int         // how deep arrays and objects may be in each other
	invalid bool        // numbers such as NaN, 0x10 and 01 are read
	null    *script.Ref // what null becomes
	arrays  *script.Ref // the metatable of arrays; nil: none
}

// A complaint is what is wrong with a text, in the words of lua-cjson.
type complaint string

func (c complaint) Error() string { return string(c) }

// whole reads the value that all of the text is.
func (p *parser) whole() (any, error) {
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if p.blank(); p.at < len(p.text) {
		return nil, p.unexpected("the end")
	}
	return v, nil
}

func (p *parser) blank() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take takes a sign of the language, if it comes next.
func (p *parser) take(sign byte) bool {
	p.blank()
	if p.at < len(p.text) && p.text[p.at] == sign {
		p.at++
		return true
	}
	return false
}

// unexpected is the error about what comes next.
func (p *parser) unexpected(wanted string) error {
	p.blank()
	start := p.at
	found := p.token()
	if found == "T_END" {
		start = len(p.text)
	}
	return p.wrong(wanted, found, start)
}

func (p *parser) wrong(wanted, found string, at int) error {
	return complaint(fmt.Sprintf("Expected %s but found %s at character %d", wanted, found, at+1))
}

// token names what comes next.
func (p *parser) token() string {
	if p.at >= len(p.text) {
		return "T_END"
	}
	switch c := p.text[p.at]; {
	case strings.IndexByte("{}[]:,", c) >= 0:
		return map[byte]string{'{': "T_OBJ_BEGIN", '}': "T_OBJ_END", '[': "T_ARR_BEGIN", ']': "T_ARR_END", ':': "T_COLON", ',': "T_COMMA"}[c]
	case c == '"':
		return "T_STRING"
	case strings.HasPrefix(p.text[p.at:], "true"), strings.HasPrefix(p.text[p.at:], "false"):
		return "T_BOOLEAN"
	case strings.HasPrefix(p.text[p.at:], "null"):
		return "T_NULL"
	case c == '-' || '0' <= c && c <= '9':
		return "T_NUMBER"
	}
	return "invalid token"
}

// value reads any value.
func (p *parser) value() (any, error) {
	p.blank()
	if p.values++; p.values > limits.LuaValues {
		return nil, complaint(fmt.Sprintf("Found too many values (%d) at character %d", p.values, p.at+1))
	}
	rest := p.text[p.at:]
	switch {
	case rest == "":
		return nil, p.unexpected("value")
	case rest[0] == '"':
		return p.string("value")
	case rest[0] == '[':
		return p.nested(p.array)
	case rest[0] == '{':
		return p.nested(p.object)
	case strings.HasPrefix(rest, "true"):
		p.at += 4
		return true, nil
	case strings.HasPrefix(rest, "false"):
		p.at += 5
		return false, nil
	case strings.HasPrefix(rest, "null"):
		p.at += 4
		return p.null, nil
	}
	return p.number()
}

func (p *parser) nested(read func() (any, error)) (any, error) {
	p.at++
	if p.depth++; p.depth > p.most {
		return nil, complaint(fmt.Sprintf("Found too many nested data structures (%d) at character %d", p.depth, p.at))
	}
	v, err := read()
	p.depth--
	return v, err
}

func (p *parser) array() (any, error) {
	t := &luavalue.Table{}
	for n := 1; n > 1 || !p.take(']'); n++ {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		t.Add(float64(n), v)
		if p.take(']') {
			break
		}
		if !p.take(',') {
			return nil, p.unexpected("comma or array end")
		}
	}
	if p.arrays != nil {
		return &script.WithMeta{Table: t, Meta: p.arrays}, nil
	}
	return t, nil
}

func (p *parser) object() (any, error) {
	t := &luavalue.Table{}
	for n := 0; n > 0 || !p.take('}'); n++ {
		if p.blank(); p.token() != "T_STRING" {
			return nil, p.unexpected("object key string")
		}
		key, err := p.string("object key string")
		if err != nil {
			return nil, err
		}
		if !p.take(':') {
			return nil, p.unexpected("colon")
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		t.Add(key, v)
		if p.take('}') {
			break
		}
		if !p.take(',') {
			return nil, p.unexpected("comma or object end")
		}
	}
	return t, nil
}

// string reads a string in quotes.
func (p *parser) string(wanted string) (any, error) {
	var out []byte
	for p.at++; p.at < len(p.text); {
		switch c := p.text[p.at]; c {
		case '"':
			p.at++
			return string(out), nil
		case '\\':
			octets, wrong := p.escape()
			if wrong != "" {
				return nil, p.wrong(wanted, wrong, p.at)
			}
			out = append(out, octets...)
		default:
			out = append(out, c)
			p.at++
		}
	}
	return nil, p.wrong(wanted, "unexpected end of string", len(p.text))
}

// escape reads what a backslash begins, or says what is wrong with it.
func (p *parser) escape() (octets []byte, wrong string) {
	if p.at+1 >= len(p.text) {
		return nil, "invalid escape code"
	}
	c := p.text[p.at+1]
	if c == 'u' {
		return p.unicode()
	}
	at := strings.IndexByte(`"\/bfnrt`, c)
	if at < 0 {
		return nil, "invalid escape code"
	}
	p.at += 2
	return []byte{"\"\\/\b\f\n\r\t"[at]}, ""
}

// unicode reads \uXXXX, or two of them for a character beyond 16 bits.
func (p *parser) unicode() (octets []byte, wrong string) {
	r, ok := p.code(p.at)
	length := 6
	if ok && utf16.IsSurrogate(r) {
		var second rune
		second, ok = p.code(p.at + 6)
		r = utf16.DecodeRune(r, second)
		ok, length = ok && r != utf8.RuneError, 12
	}
	if !ok {
		return nil, "invalid unicode escape code"
	}
	p.at += length
	return utf8.AppendRune(nil, r), ""
}

func (p *parser) code(at int) (rune, bool) {
	if at+6 > len(p.text) || p.text[at] != '\\' || p.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(p.text[at+2:at+6], 16, 16)
	return rune(n), err == nil
}

// number reads a number.
func (p *parser) number() (any, error) {
	text, strange := numeral(p.text[p.at:])
	first := p.text[p.at]
	signed := first == '-' || first == '+'
	switch {
	case text == "" && first == '-', strange && !p.invalid && (signed || '0' <= first && first <= '9'):
		return nil, p.wrong("value", "invalid number", p.at)
	case text == "", strange && !p.invalid:
		return nil, p.unexpected("value")
	}
	digits := text
	if strings.ContainsAny(text, "xX") {
		digits += "p0"
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil && n == 0 {
		return nil, p.wrong("value", "invalid number", p.at)
	}
	p.at += len(text)
	return n, nil
}

// numeral is the number that a text begins with, as C reads one, "" where there is none;
// strange is one that JSON does not have.
func numeral(text string) (number string, strange bool) {
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		strange = text[i] == '+'
		i++
	}
	lower := strings.ToLower(text[i:min(len(text), i+8)])
	for _, word := range []string{"infinity", "inf", "nan"} {
		if strings.HasPrefix(lower, word) {
			return text[:i+len(word)], true
		}
	}
	if strings.HasPrefix(lower, "0x") {
		end := i + 2 + run(text[i+2:], "0123456789abcdefABCDEF")
		return text[:end], true
	}
	whole := run(text[i:], "0123456789")
	if whole == 0 {
		return "", false
	}
	strange = strange || whole > 1 && text[i] == '0'
	end := i + whole
	if end < len(text) && text[end] == '.' {
		end += 1 + run(text[end+1:], "0123456789")
	}
	return text[:end+exponent(text[end:])], strange
}

// exponent is how many octets the exponent takes with which a text begins.
func exponent(text string) int {
	if text == "" || text[0] != 'e' && text[0] != 'E' {
		return 0
	}
	sign := 1
	if sign < len(text) && (text[sign] == '-' || text[sign] == '+') {
		sign++
	}
	if n := run(text[sign:], "0123456789"); n > 0 {
		return sign + n
	}
	return 0
}

// run is how many octets at the beginning are among those.
func run(text, those string) int { return len(text) - len(strings.TrimLeft(text, those)) }
