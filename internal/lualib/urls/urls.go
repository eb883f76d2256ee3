// Package urls is the library socket.url of scripts, written in Lua: URLs in parts (RFC
// 3986).
package urls

import (
	_ "embed" // the library is a file

	"kresd/internal/script"
)

//go:embed url.lua
var text string

// Libraries is the one that require gives as socket.url.
func Libraries() []script.Library {
	return []script.Library{{Name: "socket.url", Help: "URLs in parts", Open: func(c *script.Call) (any, error) {
		return c.LibraryText("socket.url", text)
	}}}
}
