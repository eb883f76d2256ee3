package test

import (
	"slices"
	"strings"
	"testing"

	"kresd/internal/proctest"
)

// hostile are commands that would never end, or take all there is, and how each is told
// of its end.
var hostile = []struct{ command, told string }{
	{"while true do end", "ran longer than"},
	{"while true do pcall(function() while true do end end) end", "ran longer than"},
	{"local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end", "ran longer than"},
	{"local function f() return 1 + f() end f()", "stack overflow"},
	{"local function f() f() end f()", "stack overflow"},
	{"help(('x'):rep(1e7))", "no help for"},
	{"while true do event.after(0, function() end) end", "events already"},
	{"string.rep('x', 1e9)", "resulting string too large"},
	{"local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end", "took more than 256 MB of memory"},
	{"('x'):rep(1e7):gsub('x', ('y'):rep(100))", "resulting string too large"},
	{"return ('a'):rep(1e6):find(('a*'):rep(20) .. 'b')", "pattern too complex"},
	{"return require('cjson').decode(('['):rep(1e7))", "too many nested data structures"},
	{"return select(2, require('socket.http').request('http://127.0.0.1:1/'))", "connection refused"},
	{"for name in require('lfs').dir('/dev/zero') do end", "Not a directory"},
	{"return io.open('/dev/zero'):read('*a')", "not enough memory"},
}

// What one client of the console does to a worker costs the others nothing: each command
// is ended and told so, the worker lives, and no query is lost meanwhile.
func TestHostileCommandsUnderLoad(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	warm(t, g)
	before := pids(g.Workers())
	load := proctest.Load(t, g.Addr, 500, names...)
	for _, h := range hostile {
		if got := g.Eval(t, h.command); !strings.Contains(got, h.told) {
			t.Errorf("%s: shows %.200q", h.command, got)
		}
	}
	lossless(t, "hostile commands", load.Stop(), 0)
	if after := pids(g.Workers()); !slices.Equal(before, after) {
		t.Errorf("workers %v became %v", before, after)
	}
	if got := strings.TrimSpace(g.Eval(t, "1 + 1")); got != "2" {
		t.Errorf("the console shows %q", got)
	}
}
