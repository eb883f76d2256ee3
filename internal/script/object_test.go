package script_test

import (
	"errors"
	"strings"
	"testing"

	"kresd/internal/reference"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

func TestObjectsReadAndAssign(t *testing.T) {
	vm, _ := scripttest.WithCache(t)
	scripttest.Expect(t, vm,
		[2]string{"cache.size = 10", ""},
		[2]string{"cache.size", "10\n"},
		[2]string{"cache['size']", "10\n"},
		[2]string{"cache.clear()", "all\n"},
		[2]string{"cache.clear('x')", "x\n"},
		[2]string{"cache.eth0", "[1] => addr\n"},
		[2]string{"cache.unknown", "nil\n"},
		[2]string{"cache[{}]", "nil\n"},
		[2]string{"local n = 0 for k in pairs(cache) do n = n + 1 end return n", "7"},
		[2]string{"{size = cache.size, cache = cache}", "[cache] => {\n    [clear] => function: 0x…"},
		[2]string{"cache.sise = 1", "ERROR error: unknown option 'cache.sise'; did you mean 'cache.size'?"},
		[2]string{"cache.something_else = 1", "ERROR error: unknown option 'cache.something_else'"},
		[2]string{"cache.clera = 1", "ERROR error: unknown option 'cache.clera'; did you mean 'cache.clear'?"},
		[2]string{"cache.size = 'big'", "ERROR error: bad value for 'cache.size' (number expected, got string)"},
		[2]string{"cache.size = 0", "ERROR error: bad value for 'cache.size' (a number from 1 to 1000 expected, got 0)"},
		[2]string{"cache.size = nil", "ERROR error: bad value for 'cache.size' (number expected, got nil)"},
		[2]string{"cache.current_size = 5", "ERROR error: 'cache.current_size' cannot be assigned"},
		[2]string{"cache.max_ttl = 5", "ERROR error: 'cache.max_ttl' is a function: call it as cache.max_ttl(...)"},
		[2]string{"cache.max_ttl('x')", "ERROR error: bad argument #1 to 'cache.max_ttl' (number expected, got string); usage: cache.max_ttl([seconds])"},
		[2]string{"cache.max_ttl(101)", "ERROR error: bad argument #1 to 'cache.max_ttl' (a number from 0 to 100 expected, got 101)…"},
		[2]string{"cache.max_ttl(1, 2)", "ERROR error: wrong number of arguments to 'cache.max_ttl'; usage: cache.max_ttl([seconds])"},
		[2]string{"cache.max_ttl(nil)", "7\n"},
		[2]string{"cache.max_ttl('50')", "50\n"},
		[2]string{"cache.fail()", "ERROR error: no such user"},
		[2]string{"cache.clear = function() return 'mine' end", ""},
		[2]string{"cache.clear()", "mine\n"},
	)
}

func TestTablesAreMergedIntoProtectedObjects(t *testing.T) {
	vm, log := scripttest.WithCache(t)
	for _, c := range []struct{ chunk, out, log string }{
		{"cache = {size = 5, storage = 's'}", "", "size 5, storage s"},
		{"cache = {storage = 's', size = 6, 'a', 'b'}", "", "entry 1 a, entry 2 b, storage s, size 6"},
		{"cache = {['storage'] = 's', -- first\n size = 7}", "", "storage s, size 7"},
		{"local t = {storage = 's', size = 8} cache = t", "", "size 8, storage s"},
		{"cache = cache", "", ""},
		{"cache = {}", "", ""},
		{"cache = nil", "ERROR error: 'cache' is set by a table of its options, not by nil", ""},
		{"cache = 5", "ERROR error: 'cache' is set by a table of its options, not by a number", ""},
		{"cache = {sise = 1}", "ERROR error: unknown option 'cache.sise'; did you mean 'cache.size'?", ""},
		{"other = {1} other = nil", "", ""},
		{"cache.size", "8\n", ""},
	} {
		*log = nil
		if out := scripttest.Eval(vm, c.chunk); out != c.out || strings.Join(*log, ", ") != c.log {
			t.Errorf("%s\n got %q with %q\nwant %q with %q", c.chunk, out, *log, c.out, c.log)
		}
	}
}

func TestPanicsInBindingsBecomeLuaErrors(t *testing.T) {
	var out strings.Builder
	var seen []string
	vm, err := command.New(script.Options{Stderr: &out, OnPanic: func(name string, v any, stack []byte) {
		if len(stack) > 0 {
			seen = append(seen, name)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	var log []string
	scripttest.Do(t, vm, func(*script.Call) error { vm.RegisterObject(scripttest.Cache(&log)); return nil })
	scripttest.Expect(t, vm,
		[2]string{"cache.crash()", "ERROR [string \"cache.crash()\"]:1: internal error in cache.crash: runtime error: index out of range [0] with length 0"},
		[2]string{"cache.crash_text()", "ERROR [string \"cache.crash_text()\"]:1: internal error in cache.crash_text: text"},
		[2]string{"local ok, m = pcall(cache.crash_text) return tostring(ok) .. ' ' .. m", "false …"},
		[2]string{"local ok, m = pcall(function() cache.crash_text() end) return m", "[string \"local ok, m = pcall(function() cache.cra...\"]:1: internal error in cache.crash_text: text"},
		[2]string{"2 + 2", "4\n"},
	)
	if len(seen) != 4 {
		t.Errorf("OnPanic saw %v", seen)
	}
	if err := vm.Do(t.Context(), func(*script.Call) error { panic("in a job") }); err == nil || !strings.Contains(err.Error(), "in a job") {
		t.Errorf("a job that panics: %v", err)
	}
}

// What the book has no words about is told by its binding.
func TestHelpOfWhatTheBookDoesNotKnow(t *testing.T) {
	vm, _ := scripttest.New(t)
	var log []string
	cellar := scripttest.Cache(&log)
	cellar.Name = "cellar"
	scripttest.Do(t, vm, func(*script.Call) error { vm.RegisterObject(cellar); return nil })
	scripttest.Expect(t, vm,
		[2]string{"help('cellar')", "cellar\n    the cache of answers\ncellar.size                   its size in octets\ncellar.clear([name])          forgets entries\n"},
		[2]string{"help(cellar)", "cellar\n    the cache of answers\ncellar.size                   its size in octets\ncellar.clear([name])          forgets entries\n"},
		[2]string{"help('cellar.clear')", "cellar.clear([name])\n    forgets entries\n"},
		[2]string{"help('nothing')", "ERROR no help for 'nothing'; help() lists what there is"},
		[2]string{"help('celar')", "ERROR no help for 'celar'; did you mean 'cellar'? help() lists what there is"},
		[2]string{"help('cellar.claer')", "ERROR no help for 'cellar.claer'; did you mean 'cellar.clear'? help() lists what there is"},
	)
	if text := scripttest.Eval(vm, "help()"); !strings.HasSuffix(text, "\ncellar                        the cache of answers\n") {
		t.Errorf("help() ends in %q", text[len(text)-50:])
	}
	scripttest.Do(t, vm, func(*script.Call) error { vm.Unregister("cellar"); return nil })
	scripttest.Expect(t, vm, [2]string{"cellar", "nil\n"}, [2]string{"help('cellar')", "ERROR no help for 'cellar'; help() lists what there is"})
}

func TestHelpComesFromTheBook(t *testing.T) {
	vm, err := command.New(script.Options{Reference: reference.New(reference.Chapter{Entries: []reference.Entry{
		{Name: "cache.clear", Summary: "forget", Params: []string{"name: of what"}, Returns: "how many", Example: "cache.clear('x')"},
		{Name: "string.rep", Usage: "string.rep(text, n)", Summary: "text n times"},
		{Name: "absent.field", Summary: "not in this machine"},
	}})})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	var log []string
	scripttest.Do(t, vm, func(*script.Call) error { vm.RegisterObject(scripttest.Cache(&log)); return nil })
	scripttest.Expect(t, vm,
		[2]string{"help('cache.clear')", "cache.clear([name])\n    forget\n    name: of what\n    returns how many\n    example: cache.clear('x')\n"},
		[2]string{"help('cache.size')", "cache.size\n    its size in octets\n"},
		[2]string{"help('string.rep')", "string.rep(text, n)\n    text n times\n"},
		[2]string{"help('absent.field')", "ERROR no help for 'absent.field'; help() lists what there is"},
	)
}

func TestEnvironment(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"env.HOME", "value of HOME\n"},
		[2]string{"env.UNSET", "nil\n"},
		[2]string{"env.KRESD_NO_LISTEN = true", ""},
		[2]string{"env.KRESD_NO_LISTEN", "true\n"},
		[2]string{"env.HOME = 'mine'", ""},
		[2]string{"env.HOME", "mine\n"},
		[2]string{"os.getenv('HOME')", "value of HOME\n"},
		[2]string{"os.getenv('UNSET')", "nil\n"},
		[2]string{"env.HOME = nil", ""},
		[2]string{"env = {A = 1}", ""},
		[2]string{"env.A", "1\n"},
		[2]string{"env", "[A] => 1\n[KRESD_NO_LISTEN] => true\n"},
	)
}

func TestAnObjectActsOnceOnWhatIsGivenTogether(t *testing.T) {
	vm, _ := scripttest.New(t)
	var log []string
	spec := scripttest.Cache(&log)
	spec.Merging = func(_ *script.Call, merge func() error) error {
		log = append(log, "begin")
		defer func() { log = append(log, "end") }()
		if err := merge(); err != nil {
			return err
		}
		return errors.New("refused")
	}
	scripttest.Do(t, vm, func(*script.Call) error { vm.RegisterObject(spec); return nil })
	scripttest.Expect(t, vm,
		[2]string{"cache = {size = 7}", "ERROR error: refused"},
		[2]string{"cache = {sise = 7}", "ERROR error: unknown option 'cache.sise'…"},
		[2]string{"cache.size = 8", ""},
	)
	if got, want := strings.Join(log, ","), "begin,size 7,end,begin,end,size 8"; got != want {
		t.Errorf("it saw %s, want %s", got, want)
	}
}
