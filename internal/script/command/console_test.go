package command_test

import (
	"testing"
	"time"

	"kresd/internal/script"
	"kresd/internal/script/scripttest"
)

func TestConsoleShowsValuesAsTheManualDoes(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"53", "53\n"},
		[2]string{"'a\\0b\"c'", "a\x00b\"c\n"},
		[2]string{"nil", "nil\n"},
		[2]string{"1, 2", "1\n"},
		[2]string{"true", "true\n"},
		[2]string{"1/0", "inf\n"},
		[2]string{"5 * hour", "18000000\n"},
		[2]string{"10*MB", "10485760\n"},
		[2]string{"", ""},
		[2]string{"  -- only a comment", ""},
		[2]string{"--[[ a\n]] --[==[ b ]==]", ""},
		[2]string{"1 -- one", "1\n"},
		[2]string{"{}", ""},
		[2]string{"x = 5", ""},
		[2]string{"x", "5\n"},
		[2]string{"local y = x return y", "5"},
		[2]string{"x = 1 return 'text'", "text"},
		[2]string{"x = 1 return {}", ""},
		[2]string{"(function() end)()", "nil\n"},
		[2]string{"undefined", "nil\n"},
		[2]string{"{1, 2, {x = {}}, z = 1, a = 'q'}", "[1] => 1\n[2] => 2\n[3] => {\n    [x] => {\n    }\n}\n[a] => q\n[z] => 1\n"},
		[2]string{"{['10'] = 1, [10] = 2, [9] = 3, [0.5] = 4}", "[9] => 3\n[10] => 2\n[0.5] => 4\n[10] => 1\n"},
		[2]string{"{'\\3com\\0', ['\\n'] = true}", "[1] => \\3com\\0\n[\\10] => true\n"},
		[2]string{"{('x'):rep(81), ('y'):rep(82)}", "[1] => " + repeat("x", 81) + "\n[2] => " + repeat("y", 81) + "...\n"},
		[2]string{"('x'):rep(82)", repeat("x", 82) + "\n"},
		[2]string{"print", "function: 0x…"},
		[2]string{"{print}", "[1] => function: 0x…"},
	)
}

func repeat(s string, n int) (out string) {
	for range n {
		out += s
	}
	return out
}

func TestConsoleErrors(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"1 +", "ERROR [string \"1 +\"]:1: unexpected symbol near <eof>"},
		[2]string{"for x", "ERROR [string \"for x\"]:1: '=' or 'in' expected near <eof>"},
		[2]string{"for x\n", "ERROR [string \"for x\"]:1: '=' or 'in' expected near <eof>"},
		[2]string{"x = = 1", "ERROR [string \"x = = 1\"]:1: unexpected symbol near '='…"},
		[2]string{"foo bar", "ERROR [string \"foo bar\"]:1: …"},
		[2]string{"error('boom')", "ERROR [string \"error('boom')\"]:1: boom"},
		[2]string{"error('boom', 0)", "ERROR boom"},
		[2]string{"error({})", "ERROR (error object is a table value)"},
		[2]string{"error()", "ERROR nil"},
		[2]string{"nothing.field", "ERROR [string \"nothing.field\"]:1: attempt to index …"},
		[2]string{"1 + {}", "ERROR [string \"1 + {}\"]:1: attempt to perform arithmetic …"},
		[2]string{"panic('bad %d', 7)", "ERROR [string \"panic('bad %d', 7)\"]:1: error: bad 7"},
		[2]string{"string.rep()", "ERROR [string \"string.rep()\"]:1: bad argument #1 to 'string.rep' (string expected, got no value); usage: string.rep(text, n[, separator])"},
		[2]string{"('x'):rep({})", "ERROR [string \"('x'):rep({})\"]:1: bad argument #2 to 'string.rep' (number expected, got table)…"},
		[2]string{"require 'ffi'", "ERROR …"},
		[2]string{"1", "1\n"},
	)
}

func TestConsoleForgivesMissingParentheses(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(c *script.Call) error {
		echo := func(c *script.Call) error { return c.Return(c.Arg(1)) }
		vm.RegisterObject(script.Object{Name: "net", Funcs: []script.Func{{Name: "bufsize", Max: 1, Fn: echo}}})
		vm.Register(script.Func{Name: "quit", Fn: func(c *script.Call) error { return c.Return("bye") }})
		return nil
	})
	scripttest.Expect(t, vm,
		[2]string{"net.bufsize 4096", "4096\n"},
		[2]string{"net.bufsize 'x'", "x\n"},
		[2]string{"net.bufsize 0x10", "16\n"},
		[2]string{"net.bufsize true", "true\n"},
		[2]string{"quit", "bye\n"},
		[2]string{"help", "help(…"},
		[2]string{"net.bufsize 4096 5", "ERROR …"},
	)
}

// What arrives together and compiles as one chunk is one chunk, unless it is nothing but
// expressions; else the shortest prefix that compiles is run.
func TestSplitTakesAChunkOrTheShortestPrefixThatCompiles(t *testing.T) {
	vm, _ := scripttest.New(t)
	for _, c := range []struct {
		text, chunk, rest string
		wait              bool
	}{
		{"a = 1", "a = 1", "", false},
		{"a = 1\nb = 2\n", "a = 1\nb = 2", "", false},
		{"a = 1\nb = 2\n'x'\n", "a = 1", "b = 2\n'x'\n", false},
		{"function f()\n  return 1\nend\nf()", "function f()\n  return 1\nend\nf()", "", false},
		{"local x = f()\nif not x then return 'none' end\nreturn x\n", "local x = f()\nif not x then return 'none' end\nreturn x", "", false},
		{"f()\n\n-- comment\ng { \n1\n}\n", "f()", "\n-- comment\ng { \n1\n}\n", false},
		{"f()\nx = 1\ng()\n", "f()\nx = 1\ng()", "", false},
		{"f()\n\n", "f()\n", "", false},
		{"worker.id\nworker.pid\n", "worker.id", "worker.pid\n", false},
		{"function f()\n  return 1\n", "", "function f()\n  return 1\n", true},
		{"foo(", "", "foo(", true},
		{"x = {\n", "", "x = {\n", true},
		{"x = [[\nlong", "", "x = [[\nlong", true},
		{"--[[ a", "", "--[[ a", true},
		{"\n\na", "", "\na", false},
		{"", "", "", false},
		{"foo bar\nnet.list()", "foo bar", "net.list()", false},
		{"function f()\n  x = = 1\n  return 2\nend\n", "function f()\n  x = = 1\n  return 2\nend", "", false},
		{"x = \"abc\ny = 1", "x = \"abc", "y = 1", false},
		{"net.bufsize 4096\nhelp\n", "net.bufsize 4096", "help\n", false},
		{"resolve\n{ name = 'x' }\nb = 1\n", "resolve\n{ name = 'x' }\nb = 1", "", false},
		{"local x = foo\n  :bar()\n  .field\n", "local x = foo\n  :bar()\n  .field", "", false},
		{"x = 1\n  -- more\n  + 2\n", "x = 1\n  -- more\n  + 2", "", false},
		{"x = 'a'\n.. 'b'", "x = 'a'\n.. 'b'", "", false},
		{"x = a\nor b\n", "x = a\nor b", "", false},
		{"foo\n'text'\n", "foo\n'text'", "", false},
		{"'a'\n'b'\n", "'a'", "'b'\n", false},
		{"f()\ng()\n", "f()", "g()\n", false},
		{"x = 1\n::label::\n", "x = 1\n::label::", "", false},
		{"1\n#t\n", "1", "#t\n", false},
	} {
		chunk, rest, wait := vm.Split(c.text)
		if chunk != c.chunk || rest != c.rest || wait != c.wait {
			t.Errorf("Split(%q) = %q, %q, %v", c.text, chunk, rest, wait)
		}
		if got := vm.Incomplete(c.text); got != c.wait {
			t.Errorf("Incomplete(%q) = %v", c.text, got)
		}
	}
}

func TestSplitOfManyLinesIsBounded(t *testing.T) {
	vm, _ := scripttest.New(t)
	open := "x = {\n" + repeat("'entry',\n", 10_000)
	start := time.Now()
	if _, rest, wait := vm.Split(open); !wait || rest != open {
		t.Error("an open table is not waited for")
	}
	sum := "x = 1 +\n" + repeat("1 +\n", 8000)
	if _, _, wait := vm.Split(sum); !wait {
		t.Error("an open expression is not waited for")
	}
	if d := time.Since(start); d > 30*time.Second { // minutes without the bound
		t.Errorf("it took %v", d)
	}
	long := "t = {\n" + repeat("  'an entry',\n", 3000) + "}\n"
	if chunk, rest, wait := vm.Split(long + "t"); wait || chunk+"\n" != long || rest != "t" {
		t.Errorf("a long table is split into %d and %d octets, wait %v", len(chunk), len(rest), wait)
	}
}

// The last line of a chunk shows its value as if it had been typed alone.
func TestTheLastLineOfAChunkShowsItsValue(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"x = 2\nprint(x)", ""},
		[2]string{"local y = 3\ntostring(y) -- text", "3\n"},
		[2]string{"x = 2\n\nmath.max(\n x,\n 7)\n\n", "7\n"},
		[2]string{"x = 2\nreturn 'shown as it is'", "shown as it is"},
		[2]string{"x = 2\ny = 3", ""},
		[2]string{"x = 2\ndo tostring(x) end", ""},
		[2]string{"x = tostring\n(5)", ""}, // one statement
		[2]string{"x", "5\n"},
		[2]string{"local function f()\n  x = 6 end f() x = {", "ERROR …"},
		[2]string{"pcall(function()\n tostring(1) end) x = 7 return x", "7"}, // the line break is inside of it
		[2]string{"x = 2\nerror('boom')", "ERROR [string \"x = 2\"]:2: boom"},
		[2]string{"x = = 2\ntostring(x)", "ERROR [string \"x = = 2\"]:1: unexpected symbol near '='"},
	)
}

// Many lines that are no chunk together cost each of them a few compilations, not one
// for each line before it.
func TestManyCommandsThatArriveTogetherAreSplitInLinearTime(t *testing.T) {
	vm, _ := scripttest.New(t)
	s, text := vm.NewSession(), repeat("tostring('x')\n", 4000)+"worker.id\n"
	start, n := time.Now(), 0
	for ; text != ""; n++ {
		var wait bool
		if _, text, wait = s.Split(text); wait {
			t.Fatal("it waits for more")
		}
	}
	if d := time.Since(start); n != 4001 || d > 30*time.Second { // minutes if all were compiled for each line
		t.Errorf("%d commands, after %v", n, d)
	}
}
