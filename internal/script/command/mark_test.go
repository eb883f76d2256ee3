package command_test

import (
	"context"
	"strings"
	"testing"

	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

// session returns what commands of one session show, errors as they are.
func session(vm *command.Interpreter) func(chunk string) string {
	s := vm.NewSession()
	return func(chunk string) string {
		out, _ := s.Eval(context.Background(), chunk, nil)
		return out
	}
}

func TestErrorsShowTheirPlace(t *testing.T) {
	vm, _ := scripttest.WithCache(t)
	run := session(vm)
	run("cellar = { wine = { open = function() end } }")
	for _, c := range []struct{ chunk, want string }{
		{"1 +* 2", "[string \"1 +* 2\"]:1: unexpected symbol near '*'\n    1 +* 2\n       ^"},
		{"x = {\n  1,\n  2 3\n}", "[string \"x = {\"]:3: '}' expected (to close '{' at line 1) near '3'\n      2 3\n        ^"},
		{"x = (1", "[string \"x = (1\"]:1: ')' expected near <eof>\n    x = (1\n          ^"},
		{"print(cahce.size)", "[string \"print(cahce.size)\"]:1: attempt to index global 'cahce' (a nil value); did you mean 'cache'?\n    print(cahce.size)\n          ^"},
		{"cellar.wine.opne()", "[string \"cellar.wine.opne()\"]:1: attempt to call field 'opne' (a nil value); did you mean 'cellar.wine.open'?\n    cellar.wine.opne()\n                ^"},
		{"local a = 1\nlocal b = cache.claer()\nreturn b", "[string \"local a = 1\"]:2: attempt to call field 'claer' (a nil value); did you mean 'cache.clear'?\n    local b = cache.claer()\n                    ^"},
		{"local n = 5\n\tnotthere()", "[string \"local n = 5\"]:2: attempt to call global 'notthere' (a nil value)\n     notthere()\n     ^"},
		{"x = cache.max_ttl('many')", "error: bad argument #1 to 'cache.max_ttl' (number expected, got string); usage: cache.max_ttl([seconds])\n    x = cache.max_ttl('many')\n        ^"},
		{"cache.max_ttl('many')", "error: bad argument #1 to 'cache.max_ttl' (number expected, got string); usage: cache.max_ttl([seconds])"},
		{"cache.max_tl = 5", "error: unknown option 'cache.max_tl'; did you mean 'cache.max_ttl'?\n    cache.max_tl = 5\n          ^"},
		{"error('of a script')", "[string \"error('of a script')\"]:1: of a script"}, // all that is to be seen is before the reader's eyes
		{"x = 1e-5 .. ::l:: 'a'", "[string \"x = 1e-5 .. ::l:: 'a'\"]:1: unexpected symbol near '::'\n    x = 1e-5 .. ::l:: 'a'\n                ^"},
		{"::l:: x = 1e-5 .. 2. y", "[string \"::l:: x = 1e-5 .. 2. y\"]:1: syntax error near <eof>\n    ::l:: x = 1e-5 .. 2. y\n                          ^"},
		{"error({})", "(error object is a table value)"},
		{"local long = '" + strings.Repeat("ü", 200) + "' .. * 2", "[string \"local long = '" + strings.Repeat("ü", 13) + "...\"]:1: unexpected symbol near '*'\n    ..." +
			strings.Repeat("ü", 75) + "' .. * 2\n    " + strings.Repeat(" ", 3+80) + "^"},
	} {
		if got := run(c.chunk); got != c.want {
			t.Errorf("%q shows\n%s\nwant\n%s\n%q", c.chunk, got, c.want, got)
		}
	}
}

// Of a name in a function of an earlier command, that command's line is not shown as the
// one that failed.
func TestErrorsElsewhereHaveNoMark(t *testing.T) {
	vm, _ := scripttest.New(t)
	run := session(vm)
	run("function f()\n return nosuchname.x\nend")
	if got := run("f()"); strings.Contains(got, "^") || !strings.Contains(got, "nosuchname") {
		t.Errorf("got %q", got)
	}
}

// Programs get the message alone.
func TestErrorsForProgramsStandAlone(t *testing.T) {
	vm, _ := scripttest.New(t)
	if got, _ := vm.NewSession().EvalJSON(context.Background(), "1 +* 2", nil); strings.Contains(got, "\n") {
		t.Errorf("got %q", got)
	}
}

func TestAConfigurationIsToldWhatMayBeMeant(t *testing.T) {
	vm, _ := scripttest.WithCache(t)
	err := vm.RunText(context.Background(), "file.conf", "\ncahce.clear()")
	if want := "file.conf:2: attempt to index global 'cahce' (a nil value); did you mean 'cache'?"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
