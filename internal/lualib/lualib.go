// Package lualib lists the libraries that scripts get from require and that need no
// file: those of other projects that configurations for Knot Resolver use, under
// their own names.
//
// Each is made of Go or of Lua text of our own in a package below this one, which
// knows neither DNS nor the machine behind package script. What takes long in them
// steps aside (script.Outside), so that nobody waits for a script.
package lualib

import (
	"slices"

	"kresd/internal/lualib/cqueues"
	"kresd/internal/lualib/json"
	"kresd/internal/lualib/lfs"
	"kresd/internal/lualib/ltn12"
	"kresd/internal/lualib/luajit"
	"kresd/internal/lualib/mime"
	"kresd/internal/lualib/socket"
	"kresd/internal/lualib/urls"
	"kresd/internal/lualib/web"
	"kresd/internal/script"
)

// Host is what the libraries of one machine stand on.
type Host = cqueues.Host

// Libraries are all of them, and cqueues itself, which the worker has work for.
func Libraries(h Host) ([]script.Library, *cqueues.Library) {
	queues := cqueues.New(h)
	return slices.Concat(
		queues.Libraries(),
		json.Libraries(),
		lfs.Libraries(),
		ltn12.Libraries(),
		luajit.Libraries(),
		mime.Libraries(),
		socket.New(h.VM, h.Clock, h.Alarms, h.Watcher).Libraries(),
		urls.Libraries(),
		web.Libraries(),
	), queues
}
