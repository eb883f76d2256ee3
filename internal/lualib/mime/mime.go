// Package mime is the library mime of scripts: codings of text in messages (RFC 2045),
// by LuaSocket's reference manual. The low-level functions are here; the filters made of
// them are written in Lua.
//
// A low-level function takes a chunk behind what was left of the one before, and returns
// what it made of both and what it leaves for the next. Without a next chunk it finishes.
package mime

import (
	_ "embed" // the filters are a file

	"kresd/internal/script"
)

//go:embed mime.lua
var text string

// Libraries are the ones that require gives as mime and mime.core.
func Libraries() []script.Library {
	return []script.Library{
		{Name: "mime", Help: "base64, quoted-printable and other codings of text as filters", Open: func(c *script.Call) (any, error) {
			return c.LibraryText("mime", text, core(c))
		}},
		{Name: "mime.core", Help: "the functions that the filters of mime are made of", Open: func(c *script.Call) (any, error) { return core(c), nil }},
	}
}

func core(c *script.Call) *script.Ref {
	return c.LibraryTable("mime", []script.Func{
		{Name: "b64", Args: "rest[, chunk]", Max: -1, Help: "encodes in base64", Fn: coding(encode64, finish64)},
		{Name: "unb64", Args: "rest[, chunk]", Max: -1, Help: "decodes base64", Fn: coding(decode64, drop)},
		{Name: "qp", Args: "rest[, chunk[, marker]]", Max: -1, Help: "encodes as quoted-printable", Fn: quotedPrintable},
		{Name: "unqp", Args: "rest[, chunk]", Max: -1, Help: "decodes quoted-printable", Fn: coding(unquote, drop)},
		{Name: "wrp", Args: "left, chunk[, length]", Max: -1, Help: "breaks lines of text", Fn: wrapping(wrapText, "\r\n")},
		{Name: "qpwrp", Args: "left, chunk[, length]", Max: -1, Help: "breaks lines of quoted-printable text", Fn: wrapping(wrapQuoted, "=\r\n")},
		{Name: "eol", Args: "last, chunk[, marker]", Max: -1, Help: "makes ends of lines alike", Fn: endsOfLines},
		{Name: "dot", Args: "state, chunk", Max: -1, Help: "doubles dots that begin a line (RFC 5321, section 4.5.2)", Fn: dots},
	}, script.Entry{Key: "_VERSION", Value: "MIME 1.0.3"})
}

// coding makes the Lua function of one that codes what is complete and returns the rest,
// and one that finishes a rest.
func coding(code func(in []byte) (out, rest []byte), finish func(rest []byte) []byte) func(c *script.Call) error {
	return func(c *script.Call) error {
		if c.IsNil(1) {
			return c.Return(nil, nil)
		}
		out, rest := code([]byte(c.String(1)))
		if !c.IsNil(2) {
			more, left := code(append(rest, c.String(2)...))
			return c.Return(append(out, more...), left)
		}
		if out = append(out, finish(rest)...); len(out) == 0 {
			return c.Return(nil, nil)
		}
		return c.Return(out, nil)
	}
}

func drop([]byte) []byte { return nil }
