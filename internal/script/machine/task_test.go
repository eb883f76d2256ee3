package machine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

// tasks run what scripts give to spawn(fn, ...), as often as run() is called: each that is
// ready once. rest() waits until wake() is called, which wakes the one that waits longest.
type tasks struct {
	vm      *command.Interpreter
	spawned []*script.Task
	ready   []*script.Task
	waiting []func()
	errs    []error
	ended   int
}

func withTasks(t *testing.T) (*command.Interpreter, *tasks) {
	t.Helper()
	vm, _ := scripttest.New(t)
	s := &tasks{vm: vm}
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(
			script.Func{Name: "spawn", Min: 1, Max: -1, Fn: s.spawn},
			script.Func{Name: "rest", Fn: s.rest},
			script.Func{Name: "wake", Fn: func(c *script.Call) error { s.wake(); return nil }},
			script.Func{Name: "run", Fn: func(c *script.Call) error { return c.Return(s.run()) }},
		)
		return nil
	})
	return vm, s
}

func (s *tasks) spawn(c *script.Call) error {
	var task *script.Task
	var args []any
	for i := 2; i <= c.NArgs(); i++ {
		args = append(args, c.Arg(i))
	}
	task, err := c.NewTask(func() { s.ready = append(s.ready, task) }, c.Function(1), args...)
	if err == nil {
		s.spawned, s.ready = append(s.spawned, task), append(s.ready, task)
	}
	return err
}

func (s *tasks) rest(c *script.Call) error {
	return c.Pause(func(wake func()) func() {
		s.waiting = append(s.waiting, wake)
		return nil
	})
}

func (s *tasks) wake() {
	if len(s.waiting) > 0 {
		next := s.waiting[0]
		s.waiting = s.waiting[1:]
		next()
	}
}

// run lets each that is ready go on once and returns how many those were.
func (s *tasks) run() int {
	now := s.ready
	s.ready = nil
	for _, task := range now {
		ended, err := task.Run()
		if err != nil {
			s.errs = append(s.errs, err)
		}
		if ended {
			s.ended++
		}
	}
	return len(now)
}

func TestATaskWaitsFromWithinAnyCoroutine(t *testing.T) {
	vm, s := withTasks(t)
	scripttest.Expect(t, vm,
		[2]string{`journal = '' spawn(function(a, b)
			local iter = coroutine.wrap(function() for i = 1, 2 do rest() coroutine.yield(i) end end)
			for i in iter do journal = journal .. a .. i end
			journal = journal .. tostring(pcall(function() rest() error('x') end)) .. b
			table.sort({ 2, 1 }, function(x, y) rest() return x < y end)
			journal = journal .. 'end'
		end, 'n', '.')
		spawn(function() rest() journal = journal .. 'other' end) return run()`, "2"},
		[2]string{"wake() wake() return run() .. journal", "2n1other"},
		[2]string{"wake() return run() .. journal", "1n1othern2"},
	)
	scripttest.Expect(t, vm, [2]string{"for i = 1, 20 do wake() run() end return journal", "n1othern2false.end"})
	if s.ended != 2 || len(s.errs) != 0 {
		t.Errorf("%d ended, errors %v", s.ended, s.errs)
	}
}

func TestATaskIsACoroutine(t *testing.T) {
	vm, _ := withTasks(t)
	scripttest.Expect(t, vm,
		[2]string{"spawn(function() co = coroutine.running() inner = coroutine.create(function() rest() end) coroutine.resume(inner) yielded = coroutine.isyieldable() coroutine.yield(1, 2) journal = 'on' end) run() return coroutine.status(co) .. coroutine.status(inner)", "normalnormal"},
		[2]string{"return tostring(coroutine.resume(inner)) .. tostring(pcall(coroutine.close, inner))", "falsefalse"},
		[2]string{"wake() run() return tostring(yielded) .. tostring(journal)", "truenil"},
		[2]string{"run() return journal .. coroutine.status(co) .. coroutine.status(inner)", "ondeaddead"},
	)
}

func TestAnErrorInATaskHasItsPlaceAndTraceback(t *testing.T) {
	vm, s := withTasks(t)
	scripttest.Expect(t, vm, [2]string{"local function inner() rest() error('broken') end\nspawn(function() inner() end) spawn(function() error({ 7 }) end) run() wake() run()", ""})
	if len(s.errs) != 2 {
		t.Fatalf("errors: %v", s.errs)
	}
	var value, text *script.Error
	if !errors.As(s.errs[0], &value) || !errors.As(s.errs[1], &text) || value.Message != "(error object is a table value)" {
		t.Fatalf("errors: %v", s.errs)
	}
	if !strings.HasSuffix(text.Message, ":1: broken") || !strings.HasPrefix(script.Report(text), text.Message+"\nstack traceback:\n") || !strings.Contains(script.Report(text), ":1: in ") {
		t.Errorf("the error is %q", script.Report(text))
	}
}

// A task that is ended while it waits runs its function no further, and nothing is left
// of it and the coroutines in it. Nor is of those that end by themselves.
func TestTasksLeaveNothing(t *testing.T) {
	vm, s := withTasks(t)
	scripttest.Expect(t, vm, [2]string{"ran = 0 return run()", "0"})
	runtime.GC()
	before := runtime.NumGoroutine()
	scripttest.Expect(t, vm, [2]string{`for i = 1, 200 do
		spawn(function() coroutine.wrap(function() pcall(rest) ran = ran + 1 end)() end)
		spawn(function() rest() end) end return run()`, "400"})
	if n := runtime.NumGoroutine(); n < before+600 {
		t.Fatalf("only %d goroutines, %d before: nothing waits", n, before)
	}
	scripttest.Do(t, vm, func(c *script.Call) error {
		for i, task := range s.spawned {
			if i%3 == 0 {
				task.End()
				task.End()
			}
		}
		return nil
	})
	for range 400 {
		scripttest.Expect(t, vm, [2]string{"wake() return tostring(run() < 2)", "true"})
	}
	s.ready, s.waiting, s.spawned = nil, nil, nil
	scripttest.Eventually(t, "no goroutine of a task, and nothing in memory", func() bool {
		runtime.GC()
		var threads, coroutines int
		scripttest.Do(t, vm, func(c *script.Call) error { threads, coroutines = vm.Machine().Count(); return nil })
		return threads+coroutines == 1 && runtime.NumGoroutine() <= before
	})
	scripttest.Expect(t, vm, [2]string{"return tostring(ran > 0 and ran < 200)", "true"})
}

// What waits in a task by Call.Wait holds up nobody.
func TestATaskThatWaitsIsOvertaken(t *testing.T) {
	vm, s := withTasks(t)
	done := make(chan struct{})
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "hold", Fn: func(c *script.Call) error { return c.Wait(done) }})
		return nil
	})
	woken := make(chan struct{}, 1)
	scripttest.Do(t, vm, func(c *script.Call) error {
		if err := vm.Load(c.Stack(), "hold() journal = 'over'", "=task"); err != nil {
			return err
		}
		task, err := c.NewTask(func() { woken <- struct{}{} }, vm.VM.RefTo(c.Stack(), -1))
		if err != nil {
			return err
		}
		_, err = task.Run()
		s.ready = append(s.ready, task)
		return err
	})
	scripttest.Expect(t, vm, [2]string{"1 + 1", "2\n"}, [2]string{"return tostring(journal)", "nil"})
	close(done)
	select {
	case <-woken:
	case <-time.After(time.Minute):
		t.Fatal("the task was not woken")
	}
	scripttest.Expect(t, vm, [2]string{"return run() .. journal", "1over"})
}

// The machine can end while tasks wait.
func TestAMachineEndsWithItsTasks(t *testing.T) {
	before := runtime.NumGoroutine()
	vm, err := command.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &tasks{vm: vm}
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "spawn", Min: 1, Max: -1, Fn: s.spawn}, script.Func{Name: "rest", Fn: s.rest}, script.Func{Name: "run", Fn: func(c *script.Call) error { return c.Return(s.run()) }})
		return nil
	})
	scripttest.Expect(t, vm, [2]string{"for i = 1, 100 do spawn(function() coroutine.wrap(rest)() end) end return run()", "100"})
	vm.Close()
	scripttest.Eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

// Code that runs long is told of, with its place, once in a while.
func TestCodeThatRunsLongIsToldOf(t *testing.T) {
	told := make(chan string, 10)
	vm, err := command.New(script.Options{OnLong: func(place string, ran time.Duration) { told <- fmt.Sprint(place, ran >= time.Second) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- vm.RunText(ctx, "long.conf", "\nlocal function f()\n while true do end\nend\nf()") }()
	select {
	case got := <-told:
		if got != "long.conf:3true" {
			t.Errorf("told %q", got)
		}
	case err := <-ended:
		t.Fatal("it ended: ", err)
	case <-time.After(time.Minute):
		t.Error("nobody was told")
	}
	cancel()
	<-ended
	if len(told) != 0 {
		t.Errorf("told again at once: %q", <-told)
	}
}

// A task that had waited was ended for the memory that others had taken meanwhile.
func TestATaskIsNotBlamedForTheMemoryOfOthers(t *testing.T) {
	vm, s := withTasks(t)
	scripttest.Expect(t, vm, [2]string{"spawn(function() for i = 1, 3e6 do end rest() for i = 1, 3e6 do end done = true end)", "nil\n"}, [2]string{"run()", "1\n"})
	others := make([]byte, limits.LuaMemory+64<<20)
	scripttest.Expect(t, vm, [2]string{"wake()", "nil\n"}, [2]string{"run()", "1\n"}, [2]string{"done", "true\n"})
	runtime.KeepAlive(others)
	scripttest.Do(t, vm, func(*script.Call) error {
		if len(s.errs) > 0 || s.ended != 1 {
			t.Errorf("%d ended, errors %v", s.ended, s.errs)
		}
		return nil
	})
}
