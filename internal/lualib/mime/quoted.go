package mime

import (
	"bytes"
	"encoding/hex"
	"strings"

	"kresd/internal/script"
)

const softBreak = "=\r\n"

// quotedPrintable encodes as quoted-printable (RFC 2045, section 6.7). An end of a line
// becomes the marker.
func quotedPrintable(c *script.Call) error {
	marker := c.OptString(3, "\r\n")
	encode := func(in []byte) (out, rest []byte) { return quoteLines(in, marker) }
	finish := func(rest []byte) (out []byte) {
		if len(rest) == 0 {
			return nil
		}
		for _, octet := range rest {
			out = appendQuoted(out, octet, octet == ' ' || octet == '\t')
		}
		return append(out, softBreak...)
	}
	return coding(encode, finish)(c)
}

// quoteLines encodes what is complete: blanks wait for what follows, since those at the
// end of a line have to be quoted.
func quoteLines(in []byte, marker string) (out, rest []byte) {
	for len(in) > 0 {
		switch blank := in[0] == ' ' || in[0] == '\t'; {
		case in[0] == '\r' && len(in) < 2, blank && len(in) < 3:
			return out, in
		case in[0] == '\r' && in[1] == '\n':
			out, in = append(out, marker...), in[2:]
		default:
			out = appendQuoted(out, in[0], blank && in[1] == '\r' && in[2] == '\n')
			in = in[1:]
		}
	}
	return out, nil
}

func appendQuoted(out []byte, octet byte, quote bool) []byte {
	if !quote && (octet == '\t' || ' ' <= octet && octet <= '~' && octet != '=') {
		return append(out, octet)
	}
	return append(out, '=', "0123456789ABCDEF"[octet>>4], "0123456789ABCDEF"[octet&15])
}

// unquote decodes quoted-printable. What is no valid quote stays as it is; octets that
// cannot be in such a text are dropped.
func unquote(in []byte) (out, rest []byte) {
	for len(in) > 0 {
		switch c := in[0]; {
		case c == '=' && len(in) < 3, c == '\r' && len(in) < 2:
			return out, in
		case c == '=' && in[1] == '\r' && in[2] == '\n':
			in = in[3:]
		case c == '=':
			octet := make([]byte, 1)
			if _, err := hex.Decode(octet, in[1:3]); err != nil {
				octet = in[:3]
			}
			out, in = append(out, octet...), in[3:]
		case c == '\r':
			if in[1] == '\n' {
				out = append(out, "\r\n"...)
			}
			in = in[2:]
		default:
			if c == '\t' || ' ' <= c && c <= '~' {
				out = append(out, c)
			}
			in = in[1:]
		}
	}
	return out, nil
}

// wrapping makes the Lua function that breaks lines: how many characters have room in the
// line comes in and goes out.
func wrapping(wrap func(out *bytes.Buffer, octet byte, left, length int) int, atEnd string) func(c *script.Call) error {
	return func(c *script.Call) error {
		left, length := int(c.Number(1)), 76
		if !c.IsNil(3) {
			length = int(c.Number(3))
		}
		if c.IsNil(2) {
			if left < length {
				return c.Return(atEnd, length)
			}
			return c.Return(nil, length)
		}
		var out bytes.Buffer
		for _, octet := range []byte(c.String(2)) {
			left = wrap(&out, octet, left, length)
		}
		return c.Return(out.String(), left)
	}
}

// wrapText adds an octet, behind a break when the line is full.
func wrapText(out *bytes.Buffer, octet byte, left, length int) int {
	switch {
	case octet == '\r':
		return left
	case octet == '\n':
		out.WriteString("\r\n")
		return length
	case left <= 0:
		left = length
		out.WriteString("\r\n")
	}
	out.WriteByte(octet)
	return left - 1
}

// wrapQuoted is wrapText for quoted-printable: a quote stays in one piece, and the last
// place of a line is for the sign of a soft break.
func wrapQuoted(out *bytes.Buffer, octet byte, left, length int) int {
	need := 1
	switch octet {
	case '\r':
		return left
	case '\n':
		out.WriteString("\r\n")
		return length
	case '=':
		need = 3
	}
	if left <= need {
		left = length
		out.WriteString(softBreak)
	}
	out.WriteByte(octet)
	return left - 1
}

// endsOfLines puts a marker in place of CR LF, CR, LF and LF CR. The state is an end of
// which the second half may follow.
func endsOfLines(c *script.Call) error {
	last := byte(int(c.Number(1)))
	if c.IsNil(2) {
		return c.Return(nil, 0)
	}
	marker := c.OptString(3, "\r\n")
	var out strings.Builder
	for _, octet := range []byte(c.String(2)) {
		switch {
		case octet != '\r' && octet != '\n':
			out.WriteByte(octet)
			last = 0
		case last != '\r' && last != '\n':
			out.WriteString(marker)
			last = octet
		default:
			if octet == last {
				out.WriteString(marker)
			}
			last = 0
		}
	}
	return c.Return(out.String(), int(last))
}

// dots doubles a dot behind an end of a line. The state is how many octets of that end
// were seen.
func dots(c *script.Call) error {
	state := int(c.Number(1))
	if c.IsNil(2) {
		return c.Return(nil, 2)
	}
	var out strings.Builder
	for _, octet := range []byte(c.String(2)) {
		out.WriteByte(octet)
		switch {
		case octet == '\r':
			state = 1
		case octet == '\n' && state == 1:
			state = 2
		case octet == '.' && state == 2:
			out.WriteByte('.')
			state = 0
		default:
			state = 0
		}
	}
	return c.Return(out.String(), state)
}
