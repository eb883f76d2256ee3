// Package ltn12 is the library ltn12 of scripts: sources, sinks, filters and pumps
// (LuaSocket's reference manual). It is written in Lua, since all of its values are
// functions of scripts.
package ltn12

import (
	_ "embed" // the library is a file

	"kresd/internal/script"
)

//go:embed ltn12.lua
var text string

// Libraries is the one that require gives as ltn12.
func Libraries() []script.Library {
	return []script.Library{{Name: "ltn12", Help: "sources, sinks, filters and pumps of chunks of text", Open: func(c *script.Call) (any, error) {
		return c.LibraryText("ltn12", text)
	}}}
}
