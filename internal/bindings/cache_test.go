package bindings

import (
	"slices"
	"testing"
	"time"
)

const noCache = "ERROR error: no cache is open: open one with cache.open() or cache.size"

func TestCacheIsOpened(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"cache.current_size", "nil\n"},
		step{"cache.current_storage", "nil\n"},
		step{"cache.backends()", "[lmdb://] => false\n"},
		step{"cache.open(100 * MB, 'lmdb:///var/cache/knot-resolver')", "true\n"},
		step{"cache.current_size", "104857600\n"},
		step{"cache.current_storage", "lmdb:///var/cache/knot-resolver\n"},
		step{"cache.backends()", "[lmdb://] => true\n"},
		step{"cache.size = 10*MB", ""},
		step{"cache.size", "10485760\n"},
		step{"cache.storage", "lmdb:///var/cache/knot-resolver\n"},
		step{"cache.storage = 'lmdb://.'", ""},
		step{"cache.storage", "lmdb://.\n"},
		step{"cache.current_size", "10485760\n"},
		step{"cache.open(8192)", "true\n"},
		step{"cache.current_storage", "lmdb://\n"},
		step{"cache.open(8192, 'data')", "true\n"},
		step{"cache.storage", "data\n"},
	)
	want := []string{"/var/cache/knot-resolver", "/var/cache/knot-resolver", ".", ".", "data"}
	if !slices.Equal(w.cache.opens, want) {
		t.Errorf("opened %v, want %v", w.cache.opens, want)
	}
}

func TestCacheAsATableIsOpenedOnce(t *testing.T) {
	for _, lua := range []string{
		"cache = { size = 10*MB, storage = 'lmdb:///x' }",
		"cache = { storage = 'lmdb:///x', size = 10*MB }",
		"cache = { ['storage'] = 'lmdb:///x', ['size'] = 10*MB }",
	} {
		w := newWorld(t)
		w.expectFile(lua, "")
		w.expect(step{"cache.size", "10485760\n"}, step{"cache.storage", "lmdb:///x\n"})
		if !slices.Equal(w.cache.opens, []string{"/x"}) {
			t.Errorf("%s opened %v", lua, w.cache.opens)
		}
		w.expect(step{lua, ""}, step{"cache = { size = 20*MB }", ""}, step{"cache.storage", "lmdb:///x\n"}, step{"cache.size", "20971520\n"},
			step{"cache = { storage = 'lmdb:///y' }", ""}, step{"cache.size", "20971520\n"},
			step{"cache = {}", ""}, step{"cache.storage", "lmdb:///y\n"})
		w.expect(
			step{"cache = { storage = 'redis://x', size = 30*MB }", "ERROR error: cache: the backend 'redis://x' is not in this version; there is lmdb://"},
			step{"cache = { size = 30*MB, sise = 1 }", "ERROR error: unknown option 'cache.sise'; did you mean 'cache.size'?"},
			step{"cache = { size = 'big' }", "ERROR error: bad value for 'cache.size' (number expected, got string)"},
			step{"cache = 5", "ERROR error: 'cache' is set by a table of its options, not by a number"},
			step{"cache.size", "20971520\n"},
			step{"cache.size = 40*MB", ""}, // what failed left nothing behind
			step{"cache.storage", "lmdb:///y\n"},
		)
	}
}

func TestWrongArgumentsLeaveTheOpenCache(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"cache.open(10*MB, 'lmdb://here')", "true\n"})
	w.expect(
		step{"cache.open()", "ERROR error: wrong number of arguments to 'cache.open'; usage: cache.open(max_size[, uri])"},
		step{"cache.open('x')", "ERROR error: bad argument #1 to 'cache.open' (number expected, got string)…"},
		step{"cache.open(8191)", "ERROR error: bad argument #1 to 'cache.open' (a size in bytes from 8192 to 17592186044416 expected)…"},
		step{"cache.open(1e300)", "ERROR error: bad argument #1…"},
		step{"cache.open(1/0)", "ERROR error: bad argument #1…"},
		step{"cache.open(0/0)", "ERROR error: bad argument #1…"},
		step{"cache.open(10*MB, 5)", "ERROR error: bad argument #2 to 'cache.open' (string expected, got number)…"},
		step{"cache.open(10*MB, 'redis://127.0.0.1')", "ERROR error: cache: the backend 'redis://127.0.0.1' is not in this version; there is lmdb://"},
		step{"cache.open(10*MB, 'lmdb://a\\0b')", "ERROR error: 'lmdb://a\\0b' is no path"},
		step{"cache.storage = 'memcached://x'", "ERROR error: cache: the backend …"},
		step{"cache.storage = 5", "ERROR error: bad value for 'cache.storage' (string expected, got number)"},
		step{"cache.size = 100", "ERROR error: bad value for 'cache.size' (a size in bytes from…"},
		step{"cache.size = '10MB'", "ERROR error: bad value for 'cache.size' (number expected, got string)"},
		step{"cache.sise = 5", "ERROR error: unknown option 'cache.sise'; did you mean 'cache.size'?"},
		step{"cache.current_size = 5", "ERROR error: 'cache.current_size' cannot be assigned"},
		step{"cache.max_ttl = 5", "ERROR error: 'cache.max_ttl' is a function: call it as cache.max_ttl(...)"},
		step{"cache.sise", "nil\n"},
		step{"cache.current_storage", "lmdb://here\n"},
	)
	if len(w.cache.opens) != 1 || !w.cache.open {
		t.Errorf("opened %v, open is %v", w.cache.opens, w.cache.open)
	}
	w.cache.failing = "/nowhere"
	w.expect(
		step{"cache.storage = 'lmdb:///nowhere'", "ERROR error: cache in '/nowhere': no such place"},
		step{"cache.count()", noCache},
		step{"cache.current_size", "0\n"},
	)
	w.expectFile("\ncache.size = 1", "config:2: error: bad value for 'cache.size' (a size in bytes from…")
	w.expectFile("\n\ncache.storage = 'x://'", "config:3: error: cache: the backend …")
}

func TestWithoutACache(t *testing.T) {
	w := newWorld(t)
	for _, state := range []string{"never opened", "closed"} {
		for _, call := range []string{
			"cache.count()", "cache.stats()", "cache.max_ttl()", "cache.max_ttl(9)", "cache.min_ttl()", "cache.min_ttl(1)",
			"cache.clear()", "cache.clear('com.')", "cache.prune()",
		} {
			if got := w.eval(call); got != noCache {
				t.Errorf("%s, %s: %q", state, call, got)
			}
		}
		w.expect(
			step{"cache.checkpoint('x')", noCache},
			step{"cache.ns_tout(5)", "5\n"},
			step{"select('#', cache.close())", "0\n"},
			step{"cache.current_size", "0\n"},
			step{"cache.open(10*MB)", "true\n"},
			step{"cache.close()", "true\n"},
			step{"cache.close()", "nil\n"},
			step{"cache.current_size", "0\n"},
			step{"cache.backends()", "[lmdb://] => false\n"},
		)
	}
	w.expectFile("cache.open(10*MB, 'lmdb:///x')\ncache.close()\ncache.size = 20*MB", "")
	w.expect(step{"cache.storage", "lmdb:///x\n"}, step{"cache.close()", "true\n"}, step{"cache.storage = 'y'", ""}, step{"cache.size", "10485760\n"})
}

func TestCacheFigures(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"cache.size = 10*MB", ""}, step{"cache.count()", "0\n"})
	w.cache.hold(t, "example.com.", 53)
	w.expect(
		step{"cache.count()", "53\n"},
		step{"cache.stats()", "[delete] => 4\n[hit] => 1\n[insert] => 3\n[miss] => 2\n"},
		step{"cache.stats().usage_percent", "5.5\n"},
		step{"print('Insertions:', cache.stats().insert)", "nil\n"},
		step{"cache.max_ttl()", "518400\n"},
		step{"cache.max_ttl(172800)", "172800\n"},
		step{"cache.max_ttl(4294967295)", "4294967295\n"},
		step{"cache.max_ttl(4294967296)", "ERROR error: bad argument #1 to 'cache.max_ttl' (a number from 5 to 4294967295 expected, got 4294967296)…"},
		step{"cache.max_ttl(4)", "ERROR error: bad argument #1…"},
		step{"cache.max_ttl(0/0)", "ERROR error: bad argument #1…"},
		step{"cache.max_ttl('x')", "ERROR error: bad argument #1 to 'cache.max_ttl' (number expected, got string)…"},
		step{"cache.max_ttl(60)", "60\n"},
		step{"cache.min_ttl()", "5\n"},
		step{"cache.min_ttl(61)", "ERROR error: bad argument #1 to 'cache.min_ttl' (a number from 0 to 60 expected, got 61)…"},
		step{"cache.min_ttl(-1)", "ERROR error: bad argument #1…"},
		step{"cache.min_ttl(60)", "60\n"},
		step{"cache.min_ttl(0)", "0\n"},
		step{"cache.size = 11*MB", ""},
		step{"cache.min_ttl() + cache.max_ttl()", "518405\n"}, // limits belong to the open cache
		step{"cache.ns_tout()", "60000\n"},
		step{"cache.ns_tout(0)", "0\n"},
		step{"cache.ns_tout(4294967295)", "4294967295\n"},
		step{"cache.ns_tout(4294967296)", "ERROR error: bad argument #1…"},
		step{"cache.ns_tout(-1)", "ERROR error: bad argument #1…"},
		step{"cache.ns_tout(30 * sec)", "30000\n"},
		step{"cache.checkpoint()", "[monotime] => 1500\n[walltime] => {\n    [sec] => 77\n    [usec] => 5\n}\n"},
		step{"cache.checkpoint(true).monotime", "1500\n"}, step{"cache.checkpoint(false)", "ERROR error: bad argument #1 to 'cache.checkpoint' (true or a path expected)…"},
		step{"cache.checkpoint('backup.mdb')", "5\n"}, step{"cache.checkpoint('')", "ERROR error: bad argument #1 to 'cache.checkpoint' (the path of a file expected)…"},
		step{"cache.checkpoint('full')", "ERROR error: cache.checkpoint: no copy of the cache in 'full': no space left on device…"},
		step{"cache.fssize()", "1073741824\n"},
		step{"cache.prune()", "53\n"},
		step{"cache.prune(3)", "3\n"},
		step{"cache.prune(0)", "ERROR error: bad argument #1…"},
		step{"cache.zone_import()", "ERROR error: cache.zone_import is not in this version; …"},
	)
	if got := w.out.take(); got != "Insertions:\t3\n" {
		t.Errorf("printed %q", got)
	}
	if got := w.d.Settings.NSTimeoutDuration(); got != 30*time.Second {
		t.Errorf("servers are left alone for %v", got)
	}
}
