package cqueues

import (
	_ "embed"

	"kresd/internal/script"
)

//go:embed promise.lua
var promiseText string

//go:embed auxlib.lua
var auxlibText string

//go:embed socket.lua
var socketText string

// openSocket makes cqueues.socket, which stands on the library socket.
func openSocket(c *script.Call) (any, error) {
	return c.LibraryText("cqueues.socket", socketText)
}

// openPromise makes cqueues.promise.
func (lib *Library) openPromise(c *script.Call) (any, error) {
	return c.LibraryText("cqueues.promise", promiseText, lib.Background().Handle())
}

// openAuxlib makes cqueues.auxlib.
func openAuxlib(c *script.Call) (any, error) {
	return c.LibraryText("cqueues.auxlib", auxlibText)
}
