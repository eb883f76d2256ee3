package bindings

import (
	"strings"
	"testing"
)

// What has a fraction, or is of another type than a function takes, is refused by
// a message that says so, and changes nothing.
func TestFractionsAndWrongTypesAreRefused(t *testing.T) {
	w := newWorld(t)
	w.eval("cache.open(100*MB)")
	for _, call := range []string{
		"net.listen('127.0.0.1', 53.5)", "net.close('127.0.0.1', 53.5)", "net.bufsize(1000.7)", "net.bufsize(4096, 1232.5)", "net.tcp_pipeline(1.5)",
		"net.tcp_in_idle(1.5)", "cache.ns_tout(1.5)", "cache.max_ttl(99.5)", "cache.min_ttl(0.5)", "cache.size = 104857600.5", "cache.prune(1.5)",
		"cache.clear('a.', true, 1.5)", "cache.clear('a.', true, nil, 1.5)", "cache.clear('a.', true, kres.type.NOSUCH)",
		"resolve('a', kres.type.NOSUCH)", "resolve('a', 1.5)", "resolve('a', kres.type.A, 1.5)", "resolve{name = 'a', class = 1.5}",
		"trace('a', kres.type.NOSUCH)", "worker.upstreams(1.5)", "verbose('no')",
		"hostname(('x'):rep(300))", "hostname('a..b')", "hostname(5)",
	} {
		if got := w.eval(call); !strings.HasPrefix(got, "ERROR ") || !strings.Contains(got, "(") {
			t.Errorf("%s: %q, want an error that says what is expected", call, got)
		}
	}
	w.expect(step{"net.bufsize()", "4096\n"}, step{"cache.size", "104857600\n"}, step{"verbose()", "false\n"})
}

// cache.clear tells how many entries of a type it removed, not that it was called.
func TestClearOfATypeCountsWhatItRemoved(t *testing.T) {
	w := clearingWorld(t)
	w.cache.hold(t, "www.example.com.", 1)
	w.expect(
		step{"cache.clear('www.example.com.', true, kres.type.A)", "[count] => 1\n"},
		step{"cache.clear('www.example.com.', true, kres.type.A)", "[count] => 0\n"},
	)
}

// A module's global stays the module's until it is unloaded; a table sets its
// options.
func TestAModulesGlobalIsNotOverwritten(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"modules.load('hints')", "true\n"})
	for _, call := range []string{"hints = 5", "hints = nil", "hints = function() end"} {
		if got := w.eval(call); !strings.HasPrefix(got, "ERROR error: '") {
			t.Errorf("%s: %q, want an error", call, got)
		}
	}
	w.expect(
		step{"type(hints.set)", "function\n"},
		step{"hints = hints", ""},
		step{"modules.unload('hints')", "true\n"},
		step{"hints = 5", ""},
		step{"hints", "5\n"},
	)
}

// A table of constants is named by the name by which it was reached.
func TestConstantsAreNamedInMessages(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"kres.type.A = 5", "ERROR error: 'kres.type.A' cannot be assigned"},
		step{"kres.tostring.rcode[3] = 'x'", "ERROR error: 'kres.tostring.rcode.3' cannot be assigned"},
	)
}

// A configuration that goes on after a function said { result = false } leaves a
// line in the log with its place.
func TestRefusalsInAConfigurationAreLogged(t *testing.T) {
	w := newWorld(t)
	w.eval("modules.load('hints')")
	w.file("modules.load('hints')\nhints.set('nonsense')\n")
	if got := w.log.String(); !strings.Contains(got, "config:2: hints.set: ") {
		t.Errorf("the log says %q, want the place of the refusal", got)
	}
}

// A constant that does not exist leaves a table without its field, and is missed
// nevertheless, in whatever form resolve is called.
func TestAConstantThatDoesNotExistIsMissed(t *testing.T) {
	w, _ := withResolver(t)
	for call, says := range map[string]string{
		"resolve('a', kres.type.NOSUCH)":                             "a type expected",
		"resolve('a', kres.type.A, kres.class.NOSUCH)":               "a class expected",
		"resolve{ name = 'a', type = kres.type.NOSUCH }":             "type: there is no kres.type.NOSUCH",
		"resolve({ name = 'a',\n type = kres.type.NOSUCH\n})":        "type: there is no kres.type.NOSUCH",
		"worker.resolve{ name = 'a', type = kres.type.NOSUCH }":      "type: there is no kres.type.NOSUCH",
		"resolve{ name = 'a', type = 1, class = kres.class.NOSUCH }": "class: there is no kres.class.NOSUCH",
		"trace('a', kres.type.NOSUCH)":                               "a type expected",
		"policy.DENY_MSG('a', kres.extended_error.NOSUCH)":           "an extended error expected",
	} {
		w.eval("modules.load('policy')")
		if got := w.eval(call); !strings.HasPrefix(got, "ERROR ") || !strings.Contains(got, says) {
			t.Errorf("%s: %q, want %q", call, got, says)
		}
		if got := w.file("\n" + call); !strings.Contains(got, "config:2: ") || !strings.Contains(got, says) {
			t.Errorf("%s in a file: %q, want %q", call, got, says)
		}
	}
	// What was read elsewhere is no field of this table.
	if got := w.file("if kres.type.NOSUCH then error('there') end\nassert(resolve{ name = 'x' })\n"); got != "" {
		t.Error(got)
	}
}

// The core's objects are not overwritten silently either.
func TestTheCoresObjectsAreNotOverwritten(t *testing.T) {
	w := newWorld(t)
	w.eval("modules.load('policy')")
	for _, name := range []string{"policy", "event", "kres", "net", "cache", "worker", "modules", "trust_anchors"} {
		for _, value := range []string{"5", "nil", "'text'", "function() end"} {
			if got := w.eval(name + " = " + value); !strings.HasPrefix(got, "ERROR error: '"+name+"' ") {
				t.Errorf("%s = %s: %q, want an error", name, value, got)
			}
		}
		if got := w.eval(name + " = " + name); got != "" {
			t.Errorf("%s = %s: %q", name, name, got)
		}
	}
	w.expect(step{"kres = require('kres')", ""}, step{"modules.unload('policy')", "true\n"}, step{"policy = 5", ""}, step{"policy", "5\n"})
}

// The tables of policy.ANSWER are read as strictly as arguments.
func TestDataOfAnAnswerIsChecked(t *testing.T) {
	w := newWorld(t)
	w.eval("modules.load('policy')")
	for _, data := range []string{
		"[1.5] = { rdata = 'abcd' }", "[0] = { rdata = 'abcd' }", "[-1] = { rdata = 'abcd' }", "[65536] = { rdata = 'abcd' }", "A = { rdata = 'abcd' }", "[1] = 'abcd'",
		"[1] = {}", "[1] = { rdata = 5 }", "[1] = { rdata = { 5 } }", "[1] = { rdata = 'abcd', ttl = 1.5 }", "[1] = { rdata = 'abcd', ttl = 0/0 }",
		"[1] = { rdata = 'abcd', ttl = 1/0 }", "[1] = { rdata = 'abcd', ttl = -1 }", "[1] = { rdata = 'abcd', ttl = 2^31 }", "[1] = { rdata = 'abcd', ttl = '5' }",
	} {
		if got := w.eval("policy.ANSWER({ " + data + " })"); !strings.HasPrefix(got, "ERROR error: bad argument #1 to 'policy.ANSWER' (") {
			t.Errorf("%s: %q, want an error", data, got)
		}
	}
	for _, data := range []string{"[65535] = { rdata = 'abcd', ttl = 2^31 - 1 }", "[1] = { rdata = { 'abcd', 'efgh' }, ttl = 0 }", "[1] = { rdata = 'abcd' }"} {
		if got := w.eval("policy.ANSWER({ " + data + " })"); !strings.HasPrefix(got, "policy.ANSWER({ [") {
			t.Errorf("%s: %q", data, got)
		}
	}
}
