package machine_test

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/script/scripttest"
)

// What scripts cannot name any more leaves neither goroutine nor memory, also when a
// single command makes more than there may be at once.
func TestForgottenCoroutinesLeaveNothing(t *testing.T) {
	vm, _ := scripttest.New(t)
	before := runtime.NumGoroutine()
	for _, chunk := range []string{
		"for i = 1, 10000 do local co = coroutine.create(function() local t = {i, ('x'):rep(1000)} coroutine.yield(t) end) coroutine.resume(co) end return 'made'",
		"for i = 1, 10000 do coroutine.wrap(function() pcall(coroutine.yield, i) end)() end return 'made'",
		"for i = 1, 10000 do coroutine.create(print) end return 'made'",
		"for i = 1, 10000 do coroutine.wrap(function() end)() end return 'made'",
	} {
		if got := scripttest.Eval(vm, chunk); got != "made" {
			t.Fatalf("%s: %q", chunk, got)
		}
	}
	scripttest.Goroutines(t, before)
	for range 200 {
		var threads, coroutines int
		scripttest.Do(t, vm, func(*script.Call) error { threads, coroutines = vm.Machine().Count(); return nil })
		if threads+coroutines <= 4 { // one thread serves; places of its stack that are free may still name the last ones
			return
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	scripttest.Do(t, vm, func(*script.Call) error {
		threads, coroutines := vm.Machine().Count()
		t.Errorf("%d coroutines, %d threads are left", coroutines, threads)
		return nil
	})
}

// More than there may be at once, one after the other, in a single command.
func TestManyForgottenCoroutinesInOneCommand(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(c *script.Call) error {
		if err := vm.Load(c.Stack(), "for i = 1, "+strconv.Itoa(3*limits.LuaThreads)+" do coroutine.wrap(function() coroutine.yield() end)() end", "=many"); err != nil {
			return err
		}
		c.Stack().Call(0, 0)
		return nil
	})
}
