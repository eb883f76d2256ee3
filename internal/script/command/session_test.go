package command_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

// dialogue runs commands in one session and compares what they show.
func dialogue(t *testing.T, s *command.Session, pairs ...[2]string) {
	t.Helper()
	for _, p := range pairs {
		got, isErr := s.Eval(context.Background(), p[0], nil)
		if isErr {
			got = "ERROR " + got
		}
		prefix, open := strings.CutSuffix(p[1], "…")
		if got != p[1] && !(open && strings.HasPrefix(got, prefix)) {
			t.Errorf("%s\n got %q\nwant %q", p[0], got, p[1])
		}
	}
}

func TestLocalsOfTheTopLevelLiveAsLongAsTheSession(t *testing.T) {
	vm, _ := scripttest.New(t)
	s, other := vm.NewSession(), vm.NewSession()
	dialogue(t, s,
		[2]string{"local x = 5", ""},
		[2]string{"x", "5\n"},
		[2]string{"x + 1, 2", "6\n"},
		[2]string{"x = x + 1", ""},
		[2]string{"return x", "6"},
		[2]string{"_G.x", "nil\n"},
		[2]string{"local a, b = 1, 2 local function sum() return a + b + x end", ""},
		[2]string{"sum()", "9\n"},
		[2]string{"b = 10", ""},
		[2]string{"sum()", "17\n"},
		[2]string{"local b = 'another'", ""},
		[2]string{"sum()", "17\n"},
		[2]string{"b", "another\n"},
		[2]string{"local y = x -- a comment", ""},
		[2]string{"y -- another", "6\n"},
		[2]string{"local z = y return z, 7 -- both", "6"},
		[2]string{"z", "6\n"},
		[2]string{"local e = 1 if e then return 'early' end return 'late'", "early"},
		[2]string{"local e = 1 if e then return end", ""},
		[2]string{"local e = 1 if e then return function() end, 'second' end", ""},
		[2]string{"local e = 1 do return 2, 3 end", "2"},
		[2]string{"e", "nil\n"},
		[2]string{"local m = 3\ntostring(m)", "3\n"},
		[2]string{"m", "3\n"},
		[2]string{"local nothing return", ""},
		[2]string{"nothing", "nil\n"},
		[2]string{"local last = 1 return;", ""},
		[2]string{"last", "1\n"},
		[2]string{"do local inner = 1 end for i = 1, 2 do local inner = i end", ""},
		[2]string{"inner", "nil\n"},
		[2]string{"local f = function(n)\n  local hidden = n\n  return hidden\nend", ""},
		[2]string{"f(3), hidden", "3\n"},
		[2]string{"hidden", "nil\n"},
		[2]string{"local t = {\n  one = 1,\n  two = function() local q = 2 return q end,\n} local u = t.two()", ""},
		[2]string{"t.one + u", "3\n"},
		[2]string{"local text = [[\nlocal fake = 1\n]] local more = 'return' ", ""},
		[2]string{"more, fake", "return\n"},
		[2]string{"fake", "nil\n"},
		[2]string{"local function count() x = x + 1 return x end count() count()", ""},
		[2]string{"x", "8\n"},
		[2]string{"if true then local x = 1 end", ""},
		[2]string{"for x = 1, 3 do end", ""},
		[2]string{"x", "8\n"},
		[2]string{"function global() return x end", ""},
		[2]string{"x = 'seen'", ""},
		[2]string{"global()", "seen\n"},
		[2]string{"goto done do local v = 1 end local w = 2 ::done::", ""}, // compiles only without a return behind it
		[2]string{"w", "nil\n"},
		[2]string{"there = x goto done local w = 2 ::done::", ""},
		[2]string{"there", "seen\n"},
		[2]string{"...", "nil\n"},
	)
	dialogue(t, other, [2]string{"x", "nil\n"}, [2]string{"global()", "seen\n"}, [2]string{"local x = 'mine'", ""}, [2]string{"x", "mine\n"})
	dialogue(t, s, [2]string{"x", "seen\n"})
	scripttest.Expect(t, vm, [2]string{"x", "nil\n"})
}

func TestErrorsOfCommandsWithLocalsNameWhatWasTyped(t *testing.T) {
	vm, _ := scripttest.New(t)
	s := vm.NewSession()
	dialogue(t, s,
		[2]string{"local x = nil", ""},
		[2]string{"x.field", "ERROR [string \"x.field\"]:1: attempt to index …"},
		[2]string{"x = 1\nlocal y = x +\n\n{}", "ERROR [string \"x = 1\"]:…"},
		[2]string{"x = = 2", "ERROR [string \"x = = 2\"]:1: unexpected symbol near '='\n    x = = 2\n        ^"},
		[2]string{"return return", "ERROR …"},
		[2]string{"x", "1\n"},
	)
	var many strings.Builder
	for range 20 {
		many.WriteString("local a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = 1 ")
	}
	dialogue(t, s, [2]string{many.String(), ""}, [2]string{"a1", "1\n"})
}

func TestWhatACommandPrintsIsEchoed(t *testing.T) {
	vm, out := scripttest.New(t)
	s := vm.NewSession()
	var echo bytes.Buffer
	got, _ := s.Eval(context.Background(), "print('a', 1) log('b') io.write('c') coroutine.wrap(function() print('d') end)() eval_cmd('print(5)')", &echo)
	want := "a\t1\nb\ncd\n5\n"
	if got != "" || echo.String() != want || out.String() != want {
		t.Errorf("got %q, echo %q, output %q", got, &echo, out)
	}
	if _, isErr := s.Eval(context.Background(), "print('quiet')", nil); isErr || echo.String() != want {
		t.Errorf("another command's text is echoed: %q", &echo)
	}
}
