package bindings

import (
	"slices"
	"strings"
	"testing"

	"kresd/internal/luavalue"
)

func (w *world) modulesAre(want string) {
	w.t.Helper()
	if got := strings.Join(w.d.Chain.Names(), " "); got != want {
		w.t.Errorf("modules are %s, want %s", got, want)
	}
}

func TestModulesAreLoadedInOrder(t *testing.T) {
	w := newWorld(t)
	for _, s := range []struct{ lua, shown, order string }{
		{"modules.list()", "[1] => iterate\n[2] => validate\n[3] => cache\n", "iterate validate cache"},
		{"modules.load('hints')", "true\n", "iterate validate cache hints"},
		{"modules.load('hints  >   iterate')", "true\n", "iterate hints validate cache"},
		{"modules.load('hints>cache')", "true\n", "iterate validate cache hints"},
		{"modules.load(' view < cache ')", "true\n", "iterate validate view cache hints"},
		{"modules.load('hints < iterate')", "true\n", "hints iterate validate view cache"},
		{"modules.load('hints > nope')", "ERROR error: modules: 'hints > nope': referenced module 'nope' not found", "hints iterate validate view cache"},
		{"modules.load('stats > nope')", "ERROR error: modules: 'stats > nope': referenced module 'nope' not found", "hints iterate validate view cache"},
		{"modules.load('hints >')", "ERROR error: modules: 'hints >' is not of the form 'name', 'name > other' or 'name < other'", "hints iterate validate view cache"},
		{"modules.load('hints ? iterate')", "ERROR error: modules: 'hints ? iterate' is not of the form 'name', 'name > other' or 'name < other'", "hints iterate validate view cache"},
		{"modules.load('hints iterate')", "ERROR error: modules: 'hints iterate' is not of the form 'name', 'name > other' or 'name < other'", "hints iterate validate view cache"},
		{"modules.load('hints <> iterate')", "ERROR error: modules: 'hints <> iterate' is not of the form 'name', 'name > other' or 'name < other'", "hints iterate validate view cache"},
		{"modules.load('> iterate')", "ERROR error: modules: '> iterate' is not of the form 'name', 'name > other' or 'name < other'", "hints iterate validate view cache"},
		{"modules.load('view')", "true\n", "hints iterate validate cache view"},
		{"modules.unload('hints')", "true\n", "iterate validate cache view"},
		{"modules.unload('hints')", "ERROR error: modules: no module 'hints' is loaded", "iterate validate cache view"},
		{"modules.unload('validate')", "true\n", "iterate cache view"},
		{"modules.unload('cache')", "true\n", "iterate view"},
		{"cache.close()", "nil\n", "iterate view"}, // the core's global stays
		{"modules.load('nope')", "ERROR error: no such module 'nope'; there are cache, fragile, hints, …", "iterate view"},
		{"modules.load('')", "ERROR error: modules: '' is not of the form 'name', 'name > other' or 'name < other'", "iterate view"},
		{"modules.load()", "ERROR error: wrong number of arguments to 'modules.load'…", "iterate view"},
		{"modules.load('a', 'b')", "ERROR error: wrong number of arguments to 'modules.load'…", "iterate view"},
		{"modules.load(5)", "ERROR error: bad argument #1 to 'modules.load' (string expected, got number)…", "iterate view"},
		{"modules.unload({})", "ERROR error: bad argument #1…", "iterate view"},
	} {
		w.expect(step{s.lua, s.shown})
		w.modulesAre(s.order)
	}
	w.expectFile("\nmodules.load('nope')", "config:2: error: no such module 'nope'; …")
}

func TestModulesAsATable(t *testing.T) {
	w := newWorld(t)
	w.expectFile("modules = {\n   'hints  > iterate', -- Hints AFTER iterate\n   'view   < cache'\n}", "")
	w.modulesAre("iterate hints validate view cache")
	w.expectFile(`modules = { 'view', tally = { depth = 5, list = { 'a', true } }, ['stats > iterate'] = 'text' }`, "")
	w.modulesAre("iterate stats hints validate cache view tally")
	opts, ok := w.configured[0].(*luavalue.Table)
	if len(w.configured) != 1 || !ok || opts.Get("depth") != 5.0 || opts.Get("list").(*luavalue.Table).Get(2.0) != true {
		t.Errorf("tally was given %v", w.configured)
	}
	if got := w.log.take(); got != "[system] config:1: module 'stats' takes no options; they were ignored\n" {
		t.Errorf("log %q", got)
	}
	w.configured = nil
	w.expectFile("modules = { 'tally', 'tally < cache' }\nmodules.tally = 'x'\nmodules.tally = false\ntally.config(5)\ntally.config()", "")
	if want := []any{nil, nil, "x", false, 5.0, nil}; !slices.Equal(w.configured, want) {
		t.Errorf("tally was given %v, want %v", w.configured, want)
	}
	w.modulesAre("iterate stats hints validate cache view tally")
	for _, c := range []struct{ lua, err string }{
		{"modules = {\n 'nope' }", "config:2: error: no such module 'nope'; …"},
		{"\nmodules = { 'hints > nope' }", "config:2: error: modules: 'hints > nope': referenced module 'nope' not found"},
		{"\n\nmodules = { tally = 'bad' }", "config:3: error: module 'tally': bad options"},
		{"modules = { 5 }", "config:1: error: bad value for 'modules.1' (name of a module expected, got number)"},
		{"modules = { [true] = 5 }", "config:1: error: unknown option 'modules.true'"},
		{"modules = 'hints'", "config:1: error: 'modules' is set by a table of its options, not by a string"},
		{"modules.load = 'hints'", "config:1: error: 'modules.load' is a function: call it as modules.load(...)"},
		{"modules = { hints = '/nonexistent/hosts' }", "config:1: error: module 'hints': /nonexistent/hosts: no such file or directory"},
		{"modules = { hints = { fiel = '/etc/hosts' } }", "config:1: error: module 'hints': unknown option 'fiel'; there is file"},
	} {
		w.expectFile(c.lua, c.err)
	}
}

// String keys are taken in the order of the source.
func TestModulesWithOptionsKeepTheirOrder(t *testing.T) {
	for _, c := range []struct{ lua, order string }{
		{"modules = { view = 1, stats = 2, policy = 3 }", "view stats policy"},
		{"modules = { policy = 1, stats = 2, view = 3 }", "policy stats view"},
		{"modules = { stats = { view = 1 }, ['policy'] = 2, 'view' }", "view stats policy"},
	} {
		w := newWorld(t)
		w.expectFile(c.lua, "")
		w.modulesAre("iterate validate cache " + c.order)
	}
}

func TestAModulesGlobal(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"hints", "nil\n"},
		step{"modules.load('hints')", "true\n"},
		step{"hints.set('foo.bar 127.0.0.1')", "[result] => true\n"},
		step{"hints['foo.bar'] = '127.0.0.2'", ""},
		step{"hints['foo.bar']", "[1] => 127.0.0.1\n[2] => 127.0.0.2\n"},
		step{"hints.get('foo.bar')[2]", "127.0.0.2\n"},
		step{"hints.get()", "[foo.bar.] => {\n    [1] => 127.0.0.1\n    [2] => 127.0.0.2\n}\n"},
		step{"hints['other']", "nil\n"},
		step{"hints['a..b']", "ERROR error: hints: bad name 'a..b': …"},
		step{"hints['foo.bar'] = 'x'", "ERROR error: hints['foo.bar']: 'x' is not an IP address"},
		step{"hints['foo.bar'] = {}", "ERROR error: hints['foo.bar']: an address expected"},
		step{"hints.set('foo.bar')", "[error] => 'foo.bar' is not 'name address'\n[result] => false\n"},
		step{"select(2, hints.set('foo.bar'))", "'foo.bar' is not 'name address'\n"},
		step{"select(2, hints.set('foo.bar 192.0.2.x'))", "'192.0.2.x' is not an IP address\n"},
		step{"select(2, hints.del('nowhere'))", "there is no hint 'nowhere'\n"},
		step{"hints.set()", "ERROR error: wrong number of arguments to 'hints.set'; usage: hints.set('name address')"},
		step{"hints.set = 5", "ERROR error: 'hints.set' is a function: call it as hints.set(...)"},
		step{"hints.del('foo.bar 127.0.0.1')", "[result] => true\n"},
		step{"hints.del('foo.bar')", "[result] => true\n"},
		step{"hints.del('foo.bar')", "[error] => there is no hint 'foo.bar'\n[result] => false\n"},
		step{"hints.root({ ['b.root.'] = '192.0.2.2', ['a.root.'] = {'192.0.2.1', '2001:db8::1'} })", "[a.root.] => {\n    [1] => 192.0.2.1\n    [2] => 2001:db8::1\n}\n[b.root.] => {\n    [1] => 192.0.2.2\n}\n"},
		step{"hints.root()['b.root.'][1]", "192.0.2.2\n"},
		step{"hints.root('x')", "ERROR error: hints.root: a table of names and addresses expected"},
		step{"hints.root({ '192.0.2.1' })", "ERROR error: hints.root: '1' is no name of a server: write { ['a.root-servers.net.'] = '198.41.0.4' }"},
		step{"hints.root({ ['a..b'] = '192.0.2.1' })", "ERROR error: hints.root: bad name 'a..b': …"},
		step{"hints.root({ ['a.root.'] = {} })", "ERROR error: hints.root: a.root.: no address"},
		step{"hints.root(nil)['b.root.'][1]", "192.0.2.2\n"},
		step{"hints.get(5)", "ERROR error: hints.get: name expected"},
		step{"hints.set(5)", "ERROR error: hints.set: 'name address' expected"},
		step{"hints.del({})", "ERROR error: hints.del: 'name[ address]' expected"},
		step{"hints.add_hosts(true)", "ERROR error: hints.add_hosts: path expected"},
		step{"hints.root_file({})", "ERROR error: hints.root_file: path expected"},
		step{"hints.use_nodata('no')", "ERROR error: hints.use_nodata: true or false expected"},
		step{"hints.ttl('5')", "ERROR error: hints.ttl: seconds from 0 to 2147483647 expected"},
		step{"hints.ttl(5) hints.ttl(nil) return hints.ttl()", "5"},
		step{"hints.root_file('/nowhere')", "ERROR error: hints.root_file: /nowhere: no such file or directory"},
		step{"hints.root()['b.root.'][1]", "192.0.2.2\n"},
		step{"hints.root({})", ""},
		step{"hints.root()", ""},
		step{"hints.root_file()", "\n"},
		step{"hints.config()", "nil\n"},
		step{"modules.load('hints')", "true\n"}, // starts fresh
		step{"hints.get()", ""},
		step{"help('hints.set')", "hints.set('name address')\n    add an address to a name\n…"},
		step{"help('hints.ttl')", "hints.ttl([seconds])\n    TTL of answers\n…"},
		step{"modules.unload('hints')", "true\n"},
		step{"hints", "nil\n"},
		step{"help('hints')", "ERROR no help for 'hints'; help() lists what there is"},
		step{"mute", "nil\n"},
		step{"modules.load('mute')", "true\n"},
		step{"mute", ""}, // there, but empty
		step{"type(mute)", "table\n"},
		step{"modules.unload('mute')", "true\n"},
		step{"mute", "nil\n"},
	)
}

func TestAModuleThatCannotBeLoadedAgainIsGone(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"modules.load('fragile')", "true\n"}, step{"type(fragile)", "table\n"})
	w.broken = true
	w.expect(
		step{"modules.load('fragile')", "ERROR error: module 'fragile': out of glue"},
		step{"fragile", "nil\n"},
		step{"modules.load('fragile')", "ERROR error: module 'fragile': out of glue"},
	)
	w.modulesAre("iterate validate cache")
}
