// Package luajit makes two libraries that scripts for kresd require since it runs them in
// LuaJIT: jit, of which only what tells about the system is here, and kluautil, kresd's own
// functions over tables.
package luajit

import (
	_ "embed"
	"runtime"

	"kresd/internal/script"
)

//go:embed kluautil.lua
var kluautil string

// Libraries are both.
func Libraries() []script.Library {
	return []script.Library{
		{Name: "jit", Help: "the system that the machine runs on", Open: func(c *script.Call) (any, error) {
			return c.LibraryTable("jit", []script.Func{
				{Name: "status", Max: 0, Help: "whether code is compiled: it is not", Fn: func(c *script.Call) error { return c.Return(false) }},
			}, script.Entry{Key: "os", Value: "Linux"}, script.Entry{Key: "arch", Value: arch()}), nil
		}},
		{Name: "kluautil", Help: "functions over tables", Open: func(c *script.Call) (any, error) { return c.LibraryText("kluautil", kluautil) }},
	}
}

// arch is the architecture as LuaJIT calls it.
func arch() string {
	if runtime.GOARCH == "amd64" {
		return "x64"
	}
	return runtime.GOARCH
}
