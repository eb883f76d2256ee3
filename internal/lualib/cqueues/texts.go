package cqueues

import (
	_ "embed"

	"kresd/internal/script"
)

//go:embed promise.lua
var promiseText string

//go:embed auxlib.lua
var auxlibText string

// openPromise makes cqueues.promise.
func (lib *Library) openPromise(c *script.Call) (any, error) {
	return c.LibraryText("cqueues.promise", promiseText, lib.Background().Handle())
}

// openAuxlib makes cqueues.auxlib.
func openAuxlib(c *script.Call) (any, error) {
	return c.LibraryText("cqueues.auxlib", auxlibText)
}
