package language

import (
	"fmt"
	"math"
	"strings"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// Format is what string.format makes of argument i with those behind it in their places.
func Format(c *script.Call, i int) string {
	text := c.String(i)
	var b strings.Builder
	arg := i
	for {
		before, rest, found := strings.Cut(text, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if strings.HasPrefix(rest, "%") {
			b.WriteByte('%')
			text = rest[1:]
			continue
		}
		spec, conversion := formatSpec(c, rest)
		arg++
		b.WriteString(formatOne(c, arg, "%"+spec, conversion))
		c.TooLong(b.Len())
		text = rest[len(spec)+1:]
	}
}

// formatSpec splits flags, width and precision from the conversion.
func formatSpec(c *script.Call, text string) (spec string, conversion byte) {
	i := 0
	for i < len(text) && strings.IndexByte("-+ #0", text[i]) >= 0 {
		i++
	}
	if i > 5 {
		c.Raise(script.Usage("invalid format (repeated flags)"))
	}
	digits := func() {
		for n := 0; n < 2 && i < len(text) && text[i] >= '0' && text[i] <= '9'; n++ {
			i++
		}
	}
	digits()
	if i < len(text) && text[i] == '.' {
		i++
		digits()
	}
	if i == len(text) {
		c.Raise(script.Usage("invalid option '%" + text + "' to 'format'"))
	}
	if text[i] >= '0' && text[i] <= '9' {
		c.Raise(script.Usage("invalid format (width or precision too long)"))
	}
	return text[:i], text[i]
}

func formatOne(c *script.Call, arg int, spec string, conversion byte) string {
	if arg > c.NArgs() && strings.IndexByte("cdiouxXeEfgGqs", conversion) >= 0 {
		c.ArgError(arg, "no value")
	}
	switch conversion {
	case 'd', 'i':
		return fmt.Sprintf(spec+"d", signed(integral(c, arg)))
	case 'u', 'o', 'x', 'X':
		return formatUnsigned(spec, conversion, integral(c, arg))
	case 'c':
		return pad(spec, string([]byte{byte(signed(integral(c, arg)))}))
	case 'e', 'E', 'f', 'g', 'G':
		return formatFloat(spec, conversion, c.Number(arg))
	case 'q':
		return quote(c.String(arg))
	case 's':
		return formatText(spec, Displayed(c.Stack(), arg))
	}
	c.Raise(script.Usage("invalid option '" + spec + string(rune(conversion)) + "' to 'format'"))
	return ""
}

// integral takes a number argument without its fraction. What no integer can hold is
// the smallest one, as on the processors that most run on.
func integral(c *script.Call, arg int) float64 {
	n := math.Trunc(c.Number(arg))
	if !(math.Abs(n) < 1<<63) && !(n > 0 && n < 1<<64) {
		return math.MinInt64
	}
	return n
}

// signed is n as an integer, the smallest one when it has no room.
func signed(n float64) int64 {
	if n >= 1<<63 {
		return math.MinInt64
	}
	return int64(n)
}

func formatUnsigned(spec string, conversion byte, n float64) string {
	u := uint64(n)
	if n < 0 {
		u = uint64(int64(n))
	}
	switch {
	case conversion == 'u':
		conversion = 'd'
	case u == 0:
		spec = strings.ReplaceAll(spec, "#", "") // C puts no 0x before nothing
	}
	return fmt.Sprintf(spec+string(rune(conversion)), u)
}

// formatFloat adds the precision that C has by default, and C's words.
func formatFloat(spec string, conversion byte, n float64) string {
	if math.IsInf(n, 0) || math.IsNaN(n) {
		return pad(spec, luavalue.FormatNumber(n))
	}
	if !strings.Contains(spec, ".") {
		spec += ".6"
	}
	return fmt.Sprintf(spec+string(rune(conversion)), n)
}

// formatText applies width and precision in octets.
func formatText(spec, text string) string {
	width, precision, hasPrecision := strings.Cut(spec, ".")
	if hasPrecision {
		most := 0
		for _, d := range precision {
			most = most*10 + int(d-'0')
		}
		text = text[:min(most, len(text))]
	}
	return pad(width, text)
}

// pad fills text with blanks up to the width in spec.
func pad(spec, text string) string {
	width := 0
	flags := strings.TrimLeft(spec[1:], "-+ #0")
	for _, d := range flags {
		if d == '.' {
			break
		}
		width = width*10 + int(d-'0')
	}
	fill := strings.Repeat(" ", max(0, width-len(text)))
	if strings.Contains(spec[:len(spec)-len(flags)], "-") {
		return text + fill
	}
	return fill + text
}

// quote writes a string as Lua source.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\' || c == '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c == 0x7f:
			if i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
				fmt.Fprintf(&b, "\\%03d", c)
			} else {
				fmt.Fprintf(&b, "\\%d", c)
			}
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
