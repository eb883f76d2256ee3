package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

func TestErrorsInFilesHavePositionAndLine(t *testing.T) {
	vm, _ := scripttest.WithCache(t)
	for _, c := range []struct{ text, err string }{
		{"x = 1\ny = = 2\n", "config:2: unexpected symbol near '='"},
		{"x = 1\n\nerror('boom')\n", "config:3: boom"},
		{"\ncache.fail()\n", "config:2: error: no such user"},
		{"\n\n\tcache.sise = 1\n", "config:3: error: unknown option 'cache.sise'; did you mean 'cache.size'?"},
		{"cache.size = 'x'", "config:1: error: bad value for 'cache.size' (number expected, got string)"},
		{"\ncache = {\n  sise = 5\n}\n", "config:4: error: unknown option 'cache.sise'; did you mean 'cache.size'?"},
		{"\ncache.max_ttl('x')", "config:2: error: bad argument #1 to 'cache.max_ttl' (number expected, got string); usage: cache.max_ttl([seconds])"},
		{"\ncache.crash()", "config:2: internal error in cache.crash: runtime error: index out of range [0] with length 0"},
		{"local function f()\n  error({}) \nend\nf()", "config:2: (error object is a table value)"},
		{"if x then\n", "config:1: 'end' expected (to close 'if' at line 1) near <eof>"},
		{"for x\n", "config:1: '=' or 'in' expected near <eof>"},
		{"\nfor x -- one\n\n-- two\ny = 5\n", "config:2: '=' or 'in' expected near 'y'"},
		{"\nx\ny = 5\n", "config:2: syntax error near 'y'"},
		{"x = {1,\n2\n\ny = 5\n", "config:2: '}' expected (to close '{' at line 1) near 'y'"},
		{"x = 5\nend\n", "config:2: <eof> expected near 'end'"},
		{"x = 5\n) y = 5\n", "config:2: unexpected symbol near ')'"},
		{"\nreturn 5,\n\n", "config:2: unexpected symbol near <eof>"},
		{"x = [[1\n2\n", "config:1: unfinished long string near <eof>"},
		{"\ngoto out\nx = 5\n", "config:2: no visible label 'out' for goto"},
		{"#!/usr/bin/kresd\nerror('x')", "config:2: x"},
		{"\xef\xbb\xbferror('x')", "config:1: x"},
		{"\n\nos.time({})", "config:3: field 'day' missing in date table"},
	} {
		err := vm.RunText(context.Background(), "config", c.text)
		var e *command.FileError
		if !errors.As(err, &e) || err.Error() != c.err {
			t.Errorf("%q: error %v, want %s", c.text, err, c.err)
		}
	}
}

func TestFilesAreRun(t *testing.T) {
	vm, _ := scripttest.New(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	long := write(strings.Repeat("d", 80)+"/config", "x = 7 y = 'a' .. 'b'\nerror('here')")
	err := vm.RunFile(context.Background(), long)
	if err == nil || !strings.HasPrefix(err.Error(), "...") || !strings.HasSuffix(err.Error(), "/config:2: here") {
		t.Errorf("a long path: %v", err)
	}
	scripttest.Expect(t, vm, [2]string{"x .. y", "7ab\n"})
	err = vm.RunFile(context.Background(), filepath.Join(dir, "absent"))
	if want := filepath.Join(dir, "absent") + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("an absent file: %v, want %s", err, want)
	}

	write("mods/one.lua", "return {name = ...}")
	write("mods/two/init.lua", "return {name = 'two'}")
	write("mods/bad.lua", "return = 1")
	write("other/one.lua", "return {name = 'other'}")
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.SetModuleDir(filepath.Join(dir, "other"))
		vm.SetModuleDir(filepath.Join(dir, "mods"))
		return nil
	})
	scripttest.Expect(t, vm,
		[2]string{"require('one').name", "one\n"},
		[2]string{"require('one') == require 'one'", "true\n"},
		[2]string{"require('two').name", "two\n"},
		[2]string{"package.path:find('other', 1, true)", "nil\n"},
		[2]string{"require('bit') == bit", "true\n"},
		[2]string{"select(2, pcall(require, 'an.absent'))", "module 'an.absent' not found: there is no package.preload['an.absent'], and none of an/absent.lua, an/absent/init.lua in " +
			filepath.Join(dir, "mods") + ", ., /usr/local/share/lua/5.1, /usr/share/lua/5.1\n"},
		[2]string{"(select(2, pcall(require, 'bad')):gsub('^.*/mods', ''))", "/bad.lua:1: unexpected symbol near '='\n"},
		[2]string{"dofile('" + write("do.lua", "return 1, ...") + "')", "1\n"},
		[2]string{"loadfile('" + write("syntax.lua", "= 1") + "')", "nil\n"},
		[2]string{"loadfile('" + filepath.Join(dir, "absent") + "')", "nil\n"},
	)
}

func TestOutputOfScriptsGoesToTheDaemon(t *testing.T) {
	vm, out := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"print(1, 'a', nil, true)", "nil\n"},
		[2]string{"log('%d %% of %s', 5, 'x')", "nil\n"},
		[2]string{"warn('careful')", "nil\n"},
		[2]string{"log(table_print({a = 1}))", "nil\n"},
		[2]string{"log('%d', 'x')", "ERROR [string \"log('%d', 'x')\"]:1: bad argument #2 to 'log' (number expected, got string)…"},
		[2]string{"eval_cmd('1 + 1')", "2\n\n"},
		[2]string{"eval_cmd('1 + 1', true) + 1", "3\n"},
		[2]string{"eval_cmd('x = = 1')", "ERROR [string \"x = = 1\"]:1: …"},
	)
	if want := "1\ta\tnil\ttrue\n5 % of x\ncareful\n[a] => 1\n\n"; out.String() != want {
		t.Errorf("output %q, want %q", out, want)
	}
}

func TestJSON(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"tojson({1, 2, {}})", "[1,2,{}]\n"},
		[2]string{"tojson({b = 1, a = 'x<\"\\n', [2] = true})", `{"2":true,"a":"x<\"\n","b":1}` + "\n"},
		[2]string{"tojson({1, nil, 3})", `{"1":1,"3":3}` + "\n"},
		[2]string{"tojson({1, x = 2})", `{"1":1,"x":2}` + "\n"},
		[2]string{"tojson(nil)", "null\n"},
		[2]string{"tojson({f = print, g = io.stderr})", `{"f":null,"g":null}` + "\n"},
		[2]string{"tojson(1.5) .. tojson(1e20) .. tojson(-7) .. tojson('x')", "1.5100000000000000000000-7\"x\"\n"},
		[2]string{"tojson(1/0)", "ERROR a number that is not finite has no form in JSON"},
		[2]string{"local t = {} t.t = t return tojson(t)", "ERROR …"},
		[2]string{"fromjson('[1, null, {\"a\": [true, \"x\"], \"n\": null}]')", "[1] => 1\n[3] => {\n    [a] => {\n        [1] => true\n        [2] => x\n    }\n}\n"},
		[2]string{"fromjson('7') + 1", "8\n"},
		[2]string{"fromjson('null')", "nil\n"},
		[2]string{"fromjson('{')", "ERROR fromjson: not JSON: unexpected end of JSON input"},
		[2]string{"fromjson('1 2')", "ERROR fromjson: not JSON: …"},
		[2]string{"fromjson({})", "ERROR [string \"fromjson({})\"]:1: bad argument #1 to 'fromjson' (string expected, got table)…"},
		[2]string{"tojson(fromjson(tojson({a = {1, 2, {b = false}}})))", `{"a":[1,2,{"b":false}]}` + "\n"},
	)
}

func TestNumbersHaveTheMethodsOfEvents(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.RegisterObject(script.Object{Name: "event", Funcs: []script.Func{{Name: "cancel", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(c.Int(1, 0, 9) == 3) }}}})
		vm.NumberIndex("event")
		return nil
	})
	scripttest.Expect(t, vm, [2]string{"local e = 3 return tostring(e.cancel(e)) .. tostring(e:cancel()) .. tostring(e.x)", "truetruenil"})
}
