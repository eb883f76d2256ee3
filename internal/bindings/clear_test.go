package bindings

import (
	"strings"
	"testing"
)

const (
	limitText = "chunk size limit reached"
	usageText = "; usage: cache.clear([name[, exact_name[, rr_type[, chunk_size[, callback[, prev_state]]]]]])"
)

// clearingWorld is a world with an open cache that knows some zones.
func clearingWorld(t *testing.T) *world {
	w := newWorld(t)
	w.expect(step{"cache.size = 10*MB", ""})
	w.cache.apexes = append(w.cache.apexes, mustName(t, "example.com."), mustName(t, "com."))
	return w
}

func TestClearEverything(t *testing.T) {
	w := clearingWorld(t)
	for _, call := range []string{"cache.clear()", "cache.clear(nil)", "cache.clear('.')", "cache.clear('.', false)", "cache.clear('.', nil, nil, 5)", "cache.clear(nil, 'x', {}, -1)"} {
		w.cache.hold(t, "example.com.", 76)
		w.expect(step{call, "[count] => 76\n"}, step{call, "[count] => 0\n"})
	}
}

func TestClearInOneRound(t *testing.T) {
	w := clearingWorld(t)
	w.cache.hold(t, "www.example.com.", 1)
	w.cache.hold(t, "a.www.example.com.", 3)
	apex := "[not_apex] => to clear proofs of non-existence call cache.clear('example.com.')\n[round] => 1\n[subtree] => example.com.\n"
	w.expect(
		step{"cache.clear('www.example.com.', true)", "[count] => 1\n" + apex},
		step{"cache.clear('WWW.Example.COM', true)", "[count] => 0\n" + apex},
		step{"cache.clear('www.example.com', false)", "[count] => 3\n" + apex},
		step{"cache.clear('example.com.')", "[count] => 0\n[round] => 1\n"},
		step{"cache.clear('nowhere.')", "[count] => 0\n[not_apex] => to clear proofs of non-existence call cache.clear('.')\n[round] => 1\n[subtree] => .\n"},
		step{"cache.clear('.', true)", "[count] => 0\n[round] => 1\n"},
		step{"cache.clear('example.com.', true, 28)", "[count] => 0\n"},
		step{"cache.clear('example.com.', false, nil, 100, nil, {round = 4})", "[count] => 0\n[round] => 5\n"},
		step{"cache.clear('example.com.', false, nil, 100, nil, {round = 0/0})", "[count] => 0\n[round] => 1\n"},
		step{"cache.clear('example.com.', false, nil, math.huge)", "[count] => 0\n[round] => 1\n"},
	)
	if len(w.cache.typed) != 1 || w.cache.typed[0] != 28 {
		t.Errorf("types removed: %v", w.cache.typed)
	}
	w.eventually("the log of a clearing", func() bool { return strings.Contains(w.log.String(), "finished") })
	if got := w.log.take(); got != "[cache] asynchonous cache.clear('example.com', false) finished\n" {
		t.Errorf("log %q: only the one that began with round 4 took more than one", got)
	}
}

func TestClearGoesOnByItself(t *testing.T) {
	for _, c := range []struct {
		entries     int
		call, count string
	}{
		{250, "cache.clear('com.')", "100"},
		{200, "cache.clear('com.')", "100"}, // the full last chunk costs one round more
		{7, "cache.clear('com', nil, nil, 3)", "3"},
	} {
		w := clearingWorld(t)
		w.cache.hold(t, "com.", c.entries)
		w.expect(step{c.call, "[chunk_limit] => " + limitText + "; the default callback will continue asynchronously\n[count] => " + c.count + "\n[round] => 1\n"})
		const line = "[cache] asynchonous cache.clear('com', false) finished\n"
		w.eventually("the end of the clearing", func() bool { return w.log.String() == line })
		w.expect(step{"cache.count()", "0\n"})
	}
	w := clearingWorld(t)
	w.cache.hold(t, "com.", 3)
	w.expect(step{"cache.clear('com.')", "[count] => 3\n[round] => 1\n"})
	if got := w.log.take(); got != "" {
		t.Errorf("one round logged %q", got)
	}
}

func TestAClearingEndsWithItsCache(t *testing.T) {
	w := clearingWorld(t)
	w.cache.hold(t, "com.", 3)
	w.expect(step{"cache.clear('com.', false, nil, 1).count + (cache.close() and 0)", "1\n"})
	w.eventually("the error", func() bool { return w.err.String() == "error: cache is closed\n" })
}

func TestClearWithACallback(t *testing.T) {
	w := clearingWorld(t)
	w.cache.hold(t, "b.com.", 5)
	w.expectFile(`
		calls = {}
		function mine(name, exact, rrtype, chunk, self, prev, ret)
			calls[#calls + 1] = {name, tostring(exact), tostring(rrtype), chunk, self == mine, prev == state, ret.count, ret.chunk_limit, ret.not_apex == nil}
			return 'kept', ret
		end
		state = setmetatable({}, {})
		first, second = cache.clear('b.com', nil, nil, 2, mine, state)
		cache.clear('b.com.', true, nil, nil, mine)
	`, "")
	w.expect(
		step{"first", "kept\n"},
		step{"second.count", "2\n"},
		step{"tojson(calls[1])", `["b.com","false","nil",2,true,true,2,"chunk size limit reached",true]` + "\n"},
		step{"calls[2][1] .. calls[2][2] .. calls[2][4]", "b.com.true100\n"},
		step{"tostring(calls[2][6])", "false\n"}, // prev_state was absent
		step{"calls[2][7]", "0\n"},
		step{"cache.count()", "3\n"},
		step{"cache.clear('b.com', false, nil, 1, function() error('stop') end)", "ERROR [string \"cache.clear('b.com', false, nil, 1, func...\"]:1: stop"},
		step{"cache.clear('b.com', false, nil, 1, function() end)", "nil\n"},
		step{"select('#', cache.clear('b.com', false, nil, 1, function() return nil, 2 end))", "2\n"},
		// a callback of the manual's kind: it goes on at once
		step{"cache.clear('com.', false, nil, 1, function(n, e, t, c, cb, p, r) if r.chunk_limit then return cache.clear(n, e, t, c, cb, r) end return p end)", "nil\n"},
	)
	w.cache.hold(t, "com.", 3)
	w.expect(
		step{"cache.clear('com.', false, nil, 1, function(n, e, t, c, cb, p, r) r.sum = r.count + (p and p.sum or 0) if r.chunk_limit then return cache.clear(n, e, t, c, cb, r) end return r.sum end)", "3\n"},
		step{"cache.count()", "0\n"},
	)
	if got := w.log.take(); got != "" {
		t.Errorf("a custom callback logged %q", got)
	}
}

func TestClearChecksItsArguments(t *testing.T) {
	w := clearingWorld(t)
	w.cache.hold(t, "a.", 3)
	w.expect(
		step{"cache.clear('')", "ERROR error: cache.clear: bad name '': empty name"},
		step{"cache.clear('a..b')", "ERROR error: cache.clear: bad name 'a..b': …"},
		step{"cache.clear(5)", "ERROR error: bad argument #1 to 'cache.clear' (string expected, got number)" + usageText},
		step{"cache.clear({})", "ERROR error: bad argument #1…"},
		step{"cache.clear('a', 'x')", "ERROR error: bad argument #2 to 'cache.clear' (boolean expected, got string)" + usageText},
		step{"cache.clear('.', 1)", "ERROR error: bad argument #2…"},
		step{"cache.clear('a', true, 'x')", "ERROR error: bad argument #3 to 'cache.clear' (number expected, got string)" + usageText},
		step{"cache.clear('a', true, 65536)", "ERROR error: bad argument #3…"},
		step{"cache.clear('a', false, 1)", "ERROR error: cache.clear: rr_type needs exact_name = true"},
		step{"cache.clear('a', nil, 1)", "ERROR error: cache.clear: rr_type needs exact_name = true"},
		step{"cache.clear('a', true, 1, 5)", "ERROR error: cache.clear: rr_type goes neither with chunk_size nor with callback"},
		step{"cache.clear('a', true, 1, nil, print)", "ERROR error: cache.clear: rr_type goes neither with chunk_size nor with callback"},
		step{"cache.clear('a', true, nil, 0)", "ERROR error: bad argument #4 to 'cache.clear' (a positive number expected)" + usageText},
		step{"cache.clear('a', true, nil, -5)", "ERROR error: bad argument #4…"},
		step{"cache.clear('a', true, nil, 0/0)", "ERROR error: bad argument #4…"},
		step{"cache.clear('a', true, nil, {})", "ERROR error: bad argument #4…"},
		step{"cache.clear('a', true, nil, 5, 'x')", "ERROR error: bad argument #5 to 'cache.clear' (function expected, got string)" + usageText},
		step{"cache.clear('a', true, nil, 5, nil, 'x')", "ERROR error: bad argument #6 to 'cache.clear' (table expected, got string)" + usageText},
		step{"cache.clear('a', true, nil, 5, nil, nil, 1)", "ERROR error: wrong number of arguments to 'cache.clear'" + usageText},
		step{"cache.count()", "3\n"},
	)
	w.expectFile("\ncache.clear('a', 'x')", "config:2: error: bad argument #2…")
	w.expectFile("\n\ncache.clear('a', false, 1)", "config:3: error: cache.clear: rr_type needs exact_name = true")
}
