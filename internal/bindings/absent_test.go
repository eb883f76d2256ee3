package bindings

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kresd/internal/bindings/modules"
)

// A name that exists is not in the table of absent ones, and an absent one is nil,
// for configurations ask "if net.bpf_set then".
func TestAbsentNamesDoNotExist(t *testing.T) {
	w := newRulesWorld(t)
	for _, name := range slices.Sorted(maps.Keys(modules.Lacking().Names)) {
		if got := w.eval("return type(" + name + ")"); got != "nil" && got != "nil\n" {
			t.Errorf("%s is a %s", name, got)
		}
	}
}

// Names of other versions say so when they are used, with file and line, and not
// "attempt to call a nil value".
func TestAbsentNamesSayThatTheyAreNotInThisVersion(t *testing.T) {
	w := newRulesWorld(t)
	for use, want := range map[string]string{
		"net.bpf_clear('a.crt', 'a.key')":                       "net.bpf_clear is not in this version",
		"policy.COOKIE(\n { '192.0.2.1',\n  insecure = true })": "policy.COOKIE is not in this version",
		"policy.add(policy.RPZ(policy.DENY, 'file'))":           "policy.RPZ is not in this version",
		"policy:custom_action({})":                              "policy.custom_action is not in this version",
		"kres.current_pkt()":                                    "kres.current_pkt is not in this version",
		"fallback.config('192.0.2.1')":                          "module 'fallback' is not in this version",
		"socket.http.request('http://a.example')":               "socket is not in this version",
		"package.path = '' local ftp = require('socket.ftp')":   "package 'socket.ftp' is not in this version",
		"require('kres_modules.fallback')":                      "module 'fallback' is not in this version",
		"local f = net.bpf_set f('a.crt')":                      "net.bpf_set is not in this version",
		"local a, f = 1, 2 f = net.bpf_set; f.x = 1":            "net.bpf_set is not in this version",
		"modules.load('fallback')":                              "module 'fallback' is not in this version",
		"modules = { fallback = { 'x' } }":                      "module 'fallback' is not in this version",
	} {
		w.expectFile("\n"+use, "config:2: error: "+want+"; …")
		if !strings.Contains(use, "\n") {
			w.expect(step{use, "ERROR error: " + want + "; …"})
		}
	}
}

// What is asked for before it is used, or is caught, goes its way.
func TestAbsentNamesCanBeAskedFor(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"if net.bpf_set then return 'there' end return 'absent'", "absent"},
		step{"if fallback == nil then return 'absent' end", "absent"},
		step{"local ok, why = pcall(function() return net.bpf_set() end) return why", "error: net.bpf_set is not in this version; …"},
		step{"return pcall(require, 'openssl') and 'there' or 'absent'", "absent"},
		step{"package.preload['ltn12'] = function() return 'given' end return require('ltn12')", "given"},
	)
}

// Only the absent name itself is explained: a nil of the same name in a script's own
// table, or at another line, keeps the machine's message, and a script may define what is absent.
func TestAbsentNamesAreNotTakenForOthers(t *testing.T) {
	w := newWorld(t)
	w.expectFile("if net.bpf_set then return end\nlocal t = {}\nt.bpf_set()", "config:3: attempt to call field 'bpf_set' (a nil value)")
	w.expectFile("local f, g = net.bpf_set\ng()", "config:2: attempt to call local 'g' (a nil value)")
	w.expectFile("local f = net.bpf_set\nif not f then local t = {} t.f() end", "config:2: attempt to call field 'f' (a nil value)")
	w.expectFile("local f = net.bpf_set\n_ENV['a('].x = 1", "config:2: attempt to index global 'a(' (a nil value)")
	w.expectFile("net.nosuch()", "config:1: attempt to call field 'nosuch' (a nil value)")
	w.expectFile("fallback = { add = function() end }\nfallback.add()", "")
}

// The README misleads nobody about what there is.
func TestTheReadmeNamesAsAbsentWhatIsAbsent(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, missing, _ := strings.Cut(string(readme), "## What is not there yet")
	missing, _, _ = strings.Cut(missing, "\n## ")
	modulesLine, _, _ := strings.Cut(missing, ". ")
	names := regexp.MustCompile("`([a-z0-9_.]+)`").FindAllStringSubmatch(modulesLine, -1)
	if len(names) < 3 {
		t.Fatalf("the README names %d modules that are not there: %q", len(names), modulesLine)
	}
	for _, m := range names {
		name := m[1]
		if _, lacks := modules.Lacking().Names[name]; !lacks {
			t.Errorf("the README says that %s is not there", name)
		}
	}
}

// Nobody is left alone with what is not there.
func TestEveryAbsentNameSaysWhatToUseInstead(t *testing.T) {
	for _, all := range []map[string]string{modules.Lacking().Names, modules.Lacking().Packages} {
		for name, told := range all {
			if _, instead, _ := strings.Cut(told, " is not in this version"+"; "); len(instead) < 5 {
				t.Errorf("of %s is said: %s", name, told)
			}
		}
	}
}

// A configuration that loads a module without which clients are told the same is run, and
// told so; what configures the module does nothing. One that decides about answers is not.
func TestAConfigurationGoesOnWithoutModulesThatChangeNoAnswer(t *testing.T) {
	w := newWorld(t)
	w.expectFile(`modules = { 'hints > iterate', 'predict', http = { port = 8053 } }
loaded = tostring(modules.load('prefill < cache'))
prefill.config({ ['.'] = { url = 'https://www.example/root.zone' } })
listened = tostring(net.listen('127.0.0.1', 8453, { kind = 'webmgmt' }))`, "")
	w.modulesAre("iterate hints validate cache")
	w.expect(step{"loaded .. listened", "falsefalse\n"})
	for _, want := range []string{
		"config:1: module 'predict' is not in this version; ", "config:1: module 'http' is not in this version; ", "config:2: module 'prefill' is not in this version; ",
		"config:4: net.listen: kind 'webmgmt' is not in this version; ", "; the configuration goes on without it",
	} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, w.log.String())
		}
	}
	w.expect(
		step{"http.prometheus.namespace = 'x'", "ERROR error: module 'http' is not in this version; …"},
		step{"http.snippets = {}", "ERROR error: module 'http' is not in this version; …"},
		step{"modules.load('predict')", "ERROR error: module 'predict' is not in this version; …"},
		step{"net.listen('127.0.0.1', 8453, { kind = 'webmgmt' })", "ERROR error: net.listen: kind 'webmgmt' is not in this version; …"},
	)
	for _, name := range []string{"fallback", "ahocorasick", "dnsproxy"} {
		w.expectFile("modules = { '"+name+"' }", "config:1: error: module '"+name+"' is not in this version; …")
		w.expectFile("modules.load('"+name+"')", "config:1: error: module '"+name+"' is not in this version; …")
	}
}

// Other versions load some of their modules by themselves, and configurations unload those.
func TestUnloadingAModuleThatIsNotHereIsDone(t *testing.T) {
	w := newWorld(t)
	w.expectFile("modules.unload('watchdog') modules.unload('refuse_nord') modules = { 'predict' } modules.unload('predict')", "")
	w.expect(step{"predict", "nil\n"}, step{"modules.unload('nosuch')", "ERROR error: modules: no module 'nosuch' is loaded"})
}
