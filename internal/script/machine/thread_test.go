package machine_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/machine"
	"kresd/internal/script/scripttest"
)

// withThreads adds thread(fn), proceed(thread, ...), which returns what the thread
// gives or raises its error, give(...), which yields, and abandon(thread).
func withThreads(t *testing.T) *command.Interpreter {
	vm, _ := scripttest.New(t)
	class := &script.Class{Name: "thread"}
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(
			script.Func{Name: "thread", Min: 1, Max: 1, Fn: func(c *script.Call) error {
				c.Function(1)
				co, err := c.VM().Machine().NewCoroutine(c.Stack(), 1)
				if err != nil {
					return err
				}
				return c.Return(&script.Handle{Class: class, Value: co})
			}},
			script.Func{Name: "proceed", Min: 1, Max: -1, Fn: func(c *script.Call) error {
				n, err := c.VM().Machine().Resume(c.Handle(1, class).(*lua.State), c.NArgs()-1)
				if err == machine.ErrRaised {
					c.Stack().Error()
				}
				if err != nil {
					return err
				}
				return c.ReturnFrom(c.Stack().Top() - n + 1)
			}},
			script.Func{Name: "give", Max: -1, Fn: func(c *script.Call) error {
				n, err := c.VM().Machine().Yield(c.NArgs())
				if err != nil {
					return err
				}
				return c.ReturnFrom(c.Stack().Top() - n + 1)
			}},
			script.Func{Name: "abandon", Min: 1, Max: 1, Fn: func(c *script.Call) error {
				c.VM().Machine().Coroutine(c.Handle(1, class).(*lua.State)).Close()
				return nil
			}},
			script.Func{Name: "traceback", Min: 1, Max: 1, Fn: func(c *script.Call) error {
				return c.Return(c.VM().Machine().Coroutine(c.Handle(1, class).(*lua.State)).Traceback())
			}},
		)
		return nil
	})
	return vm
}

func TestThreadsPassValuesBothWays(t *testing.T) {
	vm := withThreads(t)
	scripttest.Expect(t, vm,
		[2]string{"local th = thread(function(a, b) local c = give(a + b) local d, e = give(c * 2) return d .. e end) return proceed(th, 1, 2) .. ' ' .. proceed(th, 10) .. ' ' .. proceed(th, 'x', 'y')", "3 20 xy"},
		[2]string{"local n = function(...) return select('#', ...) end return n(proceed(thread(function(...) return ... end), nil, 1, nil)) .. n(proceed(thread(function() give() end)))", "30"},
		[2]string{"local t = {} local f = io.stderr local th = thread(function(...) return give(...) end) local a, b, c = proceed(th, t, f, print) local d = proceed(th, f) return tostring(a == t) .. tostring(b == f) .. tostring(c == print) .. tostring(d == f) .. io.type(d)", "truetruetruetruefile"},
		[2]string{"local th = thread(function(...) return select('#', give(...)) end) local t = {} for i = 1, 5000 do t[i] = i end return select('#', proceed(th, unpack(t))) .. ' ' .. proceed(th, unpack(t))", "5000 5000"},
		[2]string{"g = 1 local th = thread(function() g = g + 1 h = 'made there' give() string.shout = string.upper end) proceed(th) local s = g .. h proceed(th) return s .. ('x'):shout()", "2made thereX"},
		[2]string{"local n = 0 local th = thread(function() for i = 1, 3 do n = n + i give() end end) proceed(th) n = n * 10 proceed(th) proceed(th) return n", "15"},
	)
}

// The machine gives functions that were made at one place of the stack one
// another's locals, unless it is kept from it.
func TestThreadsOfOneFunctionHaveTheirOwnLocals(t *testing.T) {
	vm := withThreads(t)
	scripttest.Expect(t, vm, [2]string{`local function body() local n = 0 local function count() n = n + 1 return n end give(count) end
		local a, b = thread(body), thread(body) local x, y = proceed(a), proceed(b) x() x() return y() .. x()`, "13"})
}

func TestThreadsYieldThroughCallsOfGo(t *testing.T) {
	vm := withThreads(t)
	for name, body := range map[string]string{
		"pcall":                 "local ok, v = pcall(function() return give(1) end) return v",
		"pcall and an error":    "local ok, v = pcall(function() error(give(1), 0) end) return v",
		"xpcall":                "local ok, v = xpcall(function() return give(1) end, print) return v",
		"handler":               "local ok, v = xpcall(error, function() return give(1) end) return v",
		"__index":               "return setmetatable({}, {__index = function(_, k) return give(1) end}).x",
		"__add":                 "return setmetatable({}, {__add = function() return give(1) end}) + 1",
		"iterator":              "for v in function() return give(1) end do return v end",
		"gsub":                  "return (('x'):gsub('x', function() return give(1) end))",
		"sort":                  "local v table.sort({2, 1}, function(a, b) v = v or give(1) return a < b end) return v",
		"require":               "package.preload.lazy = function() return give(1) end local v = require 'lazy' package.loaded.lazy = nil return v",
		"load":                  "return load(function() local v = give(1) package.preload.once = v return nil end) and package.preload.once",
		"a method of an object": "env.answer = give(1) return env.answer",
	} {
		if got := scripttest.Eval(vm, "local th = thread(function() "+body+" end) local one = proceed(th) return one .. proceed(th, 'two')"); got != "1two" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestErrorsCrossThreads(t *testing.T) {
	vm := withThreads(t)
	scripttest.Expect(t, vm,
		[2]string{"local th = thread(function() local x = nil; return x.y end) local ok, e = pcall(proceed, th) return tostring(ok) .. e", "false[string \"local th = thread(function() local x = n...\"]:1: attempt to index local 'x' (a nil value)"},
		[2]string{"local e = {} local ok, f = pcall(proceed, thread(function() error(e) end)) return tostring(e == f)", "true"},
		[2]string{"local ok, f = pcall(proceed, thread(function() error(io.stderr) end)) return tostring(f == io.stderr)", "true"},
		[2]string{"local th = thread(function() give() error('late', 0) end) proceed(th) local _, e = pcall(proceed, th) return e", "late"},
		[2]string{"local th = thread(function() end) proceed(th) local _, e = pcall(proceed, th) return e", "cannot resume dead coroutine"},
		[2]string{"local th th = thread(function() proceed(th) end) local _, e = pcall(proceed, th) return e", "cannot resume running coroutine"},
		[2]string{"local th th = thread(function() proceed(thread(function() proceed(th) end)) end) local _, e = pcall(proceed, th) return e", "cannot resume normal coroutine"},
		[2]string{"pcall(give)", "false\n"},
		[2]string{"local th = thread(function() local ok, e = pcall(eval_cmd, 'give()') return e end) return proceed(th)", "attempt to yield across eval_cmd"},
		[2]string{"local function deeper(n) return proceed(thread(function() return deeper(n + 1) end)) end local _, e = pcall(deeper, 0) return e", "too many coroutines that resume each other"},
	)
	// The race detector makes so deep a stack slow.
	deep := "local function f() return f() + 1 end local _, e = pcall(proceed, thread(f)) assert(e:match('stack overflow'), e)"
	if err := evalWithin(vm, time.Minute, deep); err != nil {
		t.Errorf("a stack without end: %v", err)
	}
	got := scripttest.Eval(vm, "local function inner() error('told') end local th = thread(function()\n inner() end) pcall(proceed, th) return traceback(th)")
	for _, part := range []string{"stack traceback:", "]:1: in ", "]:2: in "} {
		if !strings.Contains(got, part) {
			t.Errorf("the traceback has no %q: %s", part, got)
		}
	}
	scripttest.Expect(t, vm, [2]string{"1 + 1", "2\n"})
}

// Whoever resumes a thread pays for it and is interrupted with it.
func TestThreadsRunOnTheirResumersTime(t *testing.T) {
	vm := withThreads(t)
	for _, chunk := range []string{
		"proceed(thread(function() while true do end end))",
		"pcall(proceed, thread(function() pcall(function() while true do end end) end)) while true do end",
		"while true do proceed(thread(function() give() end)) end",
		"local th = thread(function() while true do give() end end) while true do proceed(th) end",
	} {
		err := evalWithin(vm, 50*time.Millisecond, chunk)
		if err == nil || !strings.Contains(err.Error(), "ran longer than") {
			t.Errorf("%s: %v", chunk, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(30*time.Millisecond, cancel)
	if out, isErr := vm.Eval(ctx, "pcall(proceed, thread(function() while true do end end))"); !isErr || out != "interrupted" {
		t.Errorf("a client that left: %q", out)
	}
	// The budget is the resumer's, also where the thread began in another evaluation.
	scripttest.Eval(vm, "old = thread(function() give() while true do end end) proceed(old)")
	time.Sleep(60 * time.Millisecond)
	start := time.Now()
	if err := evalWithin(vm, 50*time.Millisecond, "proceed(old)"); err == nil || time.Since(start) < 40*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

// A hook of a layer begins work in one evaluation, waits for something, and goes
// on in a later evaluation, which another goroutine serves.
func TestAThreadGoesOnInAnotherEvaluation(t *testing.T) {
	vm := withThreads(t)
	entered, release := make(chan struct{}, 8), make(chan struct{})
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "aside", Fn: func(c *script.Call) error {
			entered <- struct{}{}
			return c.StepAside(release)
		}})
		return nil
	})
	var co *lua.State
	hook := func(arg string) (got string, err error) {
		err = vm.Hook(context.Background(), func(c *script.Call) error {
			if co == nil {
				if err := vm.Load(c.Stack(), "local s = ... while true do s = s .. give(s) end", "=layer"); err != nil {
					return err
				}
				co, err = vm.Machine().NewCoroutine(c.Stack(), c.Stack().Top())
				if err != nil {
					return err
				}
			}
			c.Stack().PushString(arg)
			if _, err := vm.Machine().Resume(co, 1); err != nil {
				return err
			}
			got, _ = c.Stack().ToString(-1)
			return nil
		})
		return got, err
	}
	if got, err := hook("begun"); got != "begun" || err != nil {
		t.Fatal(got, err)
	}
	command := background(vm, "local th = thread(function() aside() return 'th' end) return proceed(th) .. ' ended'")
	soon(t, "a thread inside of a command steps aside", entered)
	if got, err := hook(" beside"); got != "begun beside" || err != nil { // a fresh goroutine has the machine
		t.Errorf("%q %v", got, err)
	}
	close(release)
	if got := soon(t, "the command ends", command); got != "th ended" {
		t.Errorf("%q", got)
	}
	if got, err := hook(", after"); got != "begun beside, after" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// Time that a thread waits for something outside is nobody's running time.
func TestAThreadThatWaitsCountsNoTime(t *testing.T) {
	vm := withThreads(t)
	for _, how := range []func(*script.Call, <-chan struct{}) error{(*script.Call).Wait, (*script.Call).StepAside} {
		scripttest.Do(t, vm, func(*script.Call) error {
			vm.Register(script.Func{Name: "nap", Fn: func(c *script.Call) error {
				done := make(chan struct{})
				time.AfterFunc(300*time.Millisecond, func() { close(done) })
				return how(c, done)
			}})
			return nil
		})
		chunk := "local th = thread(function() nap() give() end) proceed(th) for i = 1, 20000 do end proceed(th)"
		if err := evalWithin(vm, 200*time.Millisecond, chunk); err != nil {
			t.Error(err)
		}
	}
}

func TestMetatablesOfBasicTypesAreCommon(t *testing.T) {
	vm := withThreads(t)
	scripttest.Expect(t, vm, [2]string{`local th = thread(function() local s = give() debug.setmetatable(5, {__index = function(n, k) return k .. n end}) give() return (nil).y end)
		proceed(th) proceed(th) debug.setmetatable(nil, {__index = function(_, k) return 'nil ' .. k end}) local a, b = (7).x, proceed(th)
		debug.setmetatable(nil, nil) debug.setmetatable(5, nil) return a .. b`, "x7nil y"})
}

const tenThousand = "local all = {} for i = 1, 10000 do all[i] = thread(function() local kept = ('x'):rep(100) .. i pcall(give) return kept end) proceed(all[i]) end "

func TestAbandonedThreadsLeaveNothing(t *testing.T) {
	vm := withThreads(t)
	before := runtime.NumGoroutine()
	if got := scripttest.Eval(vm, tenThousand+"for i = 1, 10000 do abandon(all[i]) end return 'ended'"); got != "ended" {
		t.Fatal(got)
	}
	scripttest.Goroutines(t, before)
	scripttest.Do(t, vm, func(*script.Call) error {
		if n, _ := vm.Machine().Count(); n != 1 {
			t.Errorf("the machine remembers %d threads, want the one that serves", n)
		}
		return nil
	})
	scripttest.Expect(t, vm, [2]string{"local th = thread(function() give() end) abandon(th) local _, e = pcall(proceed, th) return e", "cannot resume dead coroutine"})
}

// The code of an abandoned thread does not go on, whatever it catches.
func TestAnAbandonedThreadDoesNotGoOn(t *testing.T) {
	vm := withThreads(t)
	scripttest.Expect(t, vm, [2]string{"local th = thread(function() while true do pcall(give) reached = true end end) proceed(th) abandon(th) return tostring(reached)", "nil"})
}

func TestTheMachineEndsWithItsThreads(t *testing.T) {
	before := runtime.NumGoroutine()
	vm, err := command.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scripttest.Do(t, vm, func(c *script.Call) error {
		for range 100 {
			c.Stack().PushGoFunction(func(*lua.State) int { _, err := vm.Machine().Yield(0); panic(err) })
			co, err := vm.Machine().NewCoroutine(c.Stack(), c.Stack().Top())
			if err != nil {
				return err
			}
			if _, err := vm.Machine().Resume(co, 0); err != nil {
				return err
			}
		}
		return nil
	})
	if n := runtime.NumGoroutine(); n < before+100 {
		t.Fatalf("only %d goroutines for 100 threads", n-before)
	}
	vm.Close()
	scripttest.Goroutines(t, before)
}

func TestThreadsAreLimited(t *testing.T) {
	vm := withThreads(t)
	got := scripttest.Eval(vm, fmt.Sprintf("local all = {} for i = 1, %d do all[i] = thread(print) end", limits.LuaThreads+1))
	if !strings.HasSuffix(got, "too many coroutines") {
		t.Errorf("%q", got)
	}
}

// BenchmarkHook is what a request pays for a function of a script that does nothing, its wait
// for the machine included.
func BenchmarkHook(b *testing.B) {
	vm, err := command.New(script.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer vm.Close()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	b.ReportAllocs()
	for b.Loop() {
		if err := vm.Hook(ctx, func(*script.Call) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSwitch(b *testing.B) {
	vm, err := command.New(script.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer vm.Close()
	_ = vm.Do(context.Background(), func(c *script.Call) error {
		c.Stack().PushGoFunction(func(l *lua.State) int {
			for {
				if _, err := vm.Machine().Yield(0); err != nil {
					panic(err)
				}
			}
		})
		co, err := vm.Machine().NewCoroutine(c.Stack(), c.Stack().Top())
		if err != nil {
			return err
		}
		for b.Loop() {
			if _, err := vm.Machine().Resume(co, 0); err != nil {
				return err
			}
		}
		return nil
	})
}
