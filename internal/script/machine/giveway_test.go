package machine_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/machine"
	"kresd/internal/script/scripttest"
)

// looping is a machine where the code of an event runs until a command sets over, and what
// the machine writes.
func looping(t *testing.T, code string) (vm *command.Interpreter, out *bytes.Buffer) {
	t.Helper()
	vm, out = scripttest.New(t)
	post(vm, code)
	return vm, out
}

// post has the machine run a chunk as an event's code.
func post(vm *command.Interpreter, code string) {
	vm.Post(func(c *script.Call) error {
		if err := vm.Load(c.Stack(), code, "=event"); err != nil {
			return err
		}
		c.Stack().Call(0, 0)
		return nil
	})
}

// The code of an event that does not end kept commands from running for a minute, as long as
// a client waits for one.
func TestLoopsOfEventsGiveWayToCommands(t *testing.T) {
	for _, code := range []string{
		"while not over do n = (n or 0) + 1 end",
		"while not over do pcall(function() n = (n or 0) + 1 end) end",
		"coroutine.wrap(function() while not over do n = (n or 0) + 1 end end)()",
		"local co = coroutine.wrap(function() while true do n = (n or 0) + 1 coroutine.yield() end end) while not over do co() end",
		"table.sort({3, 1, 2}, function(a, b) while not over do n = (n or 0) + 1 end return a < b end)",
		"eval_cmd('while not over do n = (n or 0) + 1 end')",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			vm, _ := looping(t, code)
			scripttest.Expect(t, vm, [2]string{"before = n", ""}, [2]string{"return tostring(before > 0 and n > before)", "true"}) // it goes on between two
			if res := vm.MapEval(context.Background(), "n > before"); res.Value != true {
				t.Errorf("a mapped expression gives %+v", res)
			}
			scripttest.Expect(t, vm, [2]string{"over = true", ""})
			scripttest.Do(t, vm, func(*script.Call) error { return nil }) // comes when the loop has ended
		})
	}
}

// A loop that evaluates commands gave way in each of them from its first half second on.
func TestALoopOverCommandsGivesWayOncePerTurn(t *testing.T) {
	vm, _ := scripttest.New(t)
	times := make(chan time.Time, 2)
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "note", Fn: func(*script.Call) error { times <- time.Now(); return nil }})
		return nil
	})
	post(vm, "while not over do eval_cmd('for i = 1, 2000 do end') end")
	for range 2 {
		go scripttest.Eval(vm, "note()")
	}
	first := <-times
	if between := (<-times).Sub(first); between < limits.LuaTurn {
		t.Errorf("it gave way again after %v, want %v or more", between, limits.LuaTurn)
	}
	scripttest.Expect(t, vm, [2]string{"over = true", ""})
	scripttest.Do(t, vm, func(*script.Call) error { return nil })
}

// What the loop computes does not depend on what comes between.
func TestCodeThatGivesWayGoesOnWhereItWas(t *testing.T) {
	vm, _ := looping(t, `
		local sum, list, rounds = 0, {}, 0
		while not over do
			rounds = rounds + 1
			list = {}
			for i = 1, 100 do list[i] = i end
			local s = 0
			for _, v in ipairs(list) do s = s + v end
			sum = sum + s
		end
		right = sum == rounds * 5050`)
	for range 3 {
		scripttest.Expect(t, vm, [2]string{"local x = {} for i = 1, 1e4 do x[i] = { i } end return #x", "10000"})
	}
	scripttest.Expect(t, vm, [2]string{"over = true", ""})
	scripttest.Do(t, vm, func(*script.Call) error { return nil })
	scripttest.Expect(t, vm, [2]string{"right", "true\n"})
}

// A command that steps aside while a loop runs comes back, and one that waits with the
// machine held is not overtaken by the loop.
func TestCommandsThatWaitBesideALoop(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(*script.Call) error {
		soon := func(wait func(*script.Call, <-chan struct{}) error) func(*script.Call) error {
			return func(c *script.Call) error {
				done := make(chan struct{})
				time.AfterFunc(20*time.Millisecond, func() { close(done) })
				return wait(c, done)
			}
		}
		vm.Register(script.Func{Name: "aside", Fn: soon((*script.Call).StepAside)})
		vm.Register(script.Func{Name: "hold", Fn: soon((*script.Call).Wait)})
		return nil
	})
	post(vm, "n = 0 while not over do n = n + 1 end")
	scripttest.Expect(t, vm,
		[2]string{"local m = n hold() return tostring(n == m)", "true"},
		[2]string{"local m = n aside() return tostring(n > m)", "true"},
		[2]string{"over = true", ""})
}

// Other events do not come between.
func TestEventsDoNotGiveWayToEvents(t *testing.T) {
	vm, _ := looping(t, "while not over do end ended = true")
	post(vm, "other = tostring(ended)")
	scripttest.Expect(t, vm, [2]string{"other", "nil\n"}, [2]string{"other", "nil\n"}, [2]string{"over = true", ""}) // the loop runs
	scripttest.Do(t, vm, func(*script.Call) error { return nil })
	scripttest.Expect(t, vm, [2]string{"other", "true\n"})
}

// run is a chunk as a job of the machine.
func run(vm *command.Interpreter, code string) func(c *script.Call) error {
	return func(c *script.Call) error {
		if err := vm.Load(c.Stack(), code, "=hook"); err != nil {
			return err
		}
		c.Stack().Call(0, 0)
		return nil
	}
}

// What requests wait for failed behind the code of an event, or a command, that did not end.
// These loops end because it comes between, and each would go on beyond the time that it waits.
func TestLoopsGiveWayToHooks(t *testing.T) {
	for _, code := range []string{
		"while not over do n = (n or 0) + 1 end",
		"while not over do pcall(function() n = (n or 0) + 1 end) end",
		"coroutine.wrap(function() while not over do n = (n or 0) + 1 end end)()",
		"table.sort({3, 1, 2}, function(a, b) while not over do n = (n or 0) + 1 end return a < b end)",
	} {
		for name, begin := range map[string]func(vm *command.Interpreter){
			"event":   func(vm *command.Interpreter) { post(vm, code) },
			"command": func(vm *command.Interpreter) { go scripttest.Eval(vm, code) },
			"mapped":  func(vm *command.Interpreter) { go vm.MapEval(context.Background(), "(function() "+code+" end)()") },
		} {
			t.Run(name+" "+code, func(t *testing.T) {
				t.Parallel()
				vm, _ := scripttest.New(t)
				scripttest.Do(t, vm, run(vm, "n, seen = 0, {}"))
				begin(vm)
				for !started(t, vm) {
					time.Sleep(time.Millisecond)
				}
				for range 3 { // it goes on between two
					hook(t, vm, "seen[#seen + 1] = n")
				}
				hook(t, vm, "over = true")
				scripttest.Expect(t, vm, [2]string{"return tostring(seen[1] > 0 and seen[2] > seen[1] and seen[3] > seen[2])", "true"})
			})
		}
	}
}

// started tells whether the code of a test runs, which counts in n.
func started(t *testing.T, vm *command.Interpreter) (yes bool) {
	t.Helper()
	if err := vm.Hook(context.Background(), func(c *script.Call) error {
		c.Stack().Global("n")
		n, _ := c.Stack().ToNumber(-1)
		yes = n > 0
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return yes
}

// hook has the machine run a chunk that a request waits for.
func hook(t *testing.T, vm *command.Interpreter, code string) {
	t.Helper()
	ctx, end := context.WithTimeout(context.Background(), limits.LuaHookWait)
	defer end()
	if err := vm.Hook(ctx, run(vm, code)); err != nil {
		t.Errorf("%s: %v", code, err)
	}
}

// A hook that waits for something itself lets the loop go on, and comes back while that runs.
func TestHooksBesideALoopWait(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "rest", Fn: func(c *script.Call) error {
			done := make(chan struct{})
			time.AfterFunc(20*time.Millisecond, func() { close(done) })
			return c.StepAside(done)
		}})
		return nil
	})
	scripttest.Do(t, vm, run(vm, "n = 0"))
	post(vm, "while not over do n = n + 1 end")
	for !started(t, vm) {
		time.Sleep(time.Millisecond)
	}
	hook(t, vm, "local before = n rest() went_on = n > before over = true")
	scripttest.Expect(t, vm, [2]string{"went_on", "true\n"})
}

// However many hooks come, the loop has its share of the time, and what was asked of the
// machine meanwhile its turn.
func TestALoopGoesOnUnderHooks(t *testing.T) {
	vm, _ := looping(t, "n = 0 while not over do n = n + 1 end")
	ctx, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				_ = vm.Hook(ctx, run(vm, "for i = 1, 1000 do end"))
			}
		})
	}
	scripttest.Expect(t, vm, [2]string{"before = n", ""}, [2]string{"return tostring(n > before + 1000)", "true"}, [2]string{"over = true", ""})
	end()
	all.Wait()
}

// A configuration file gives way to nobody: nothing is there yet of what it makes.
func TestAConfigurationDoesNotGiveWayToHooks(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(*script.Call) error {
		began := time.Now()
		vm.Register(script.Func{Name: "longer", Fn: func(c *script.Call) error {
			return c.Return(time.Since(began) > limits.LuaHookTurn+200*time.Millisecond)
		}})
		return nil
	})
	hooked := make(chan error, 1)
	go func() {
		for {
			if err := vm.Hook(context.Background(), run(vm, "came = loads")); err != nil || vm.MapEval(context.Background(), "loads == false").Value == true {
				hooked <- err
				return
			}
		}
	}()
	if err := vm.RunText(context.Background(), "config", "loads = true while not longer() do end seen = came loads = false"); err != nil {
		t.Error(err)
	}
	if err := <-hooked; err != nil {
		t.Error(err)
	}
	scripttest.Expect(t, vm, [2]string{"seen", "nil\n"})
}

// Who stops an evaluation ends it where it gives way, and what runs or waits goes on.
func TestStoppersStopWhatGivesWay(t *testing.T) {
	vm, out := scripttest.New(t)
	var stop func(error)
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(
			script.Func{Name: "stoppable", Fn: func(*script.Call) error { stop = vm.VM.Stopper(); return nil }},
			script.Func{Name: "stop", Fn: func(*script.Call) error { stop(context.Canceled); return nil }})
		return nil
	})
	post(vm, "stoppable() stop() n = 0 while true do pcall(coroutine.wrap(function() while true do n = n + 1 end end)) end")
	scripttest.Expect(t, vm, [2]string{"return tostring(n > 0)", "true"}, [2]string{"stop()", "nil\n"})
	scripttest.Do(t, vm, func(*script.Call) error { return nil })
	if got := out.String(); !strings.HasPrefix(got, "error: context canceled\nstack traceback:\n\tevent:1: ") {
		t.Errorf("standard error: %q", got)
	}
}

// A machine that is closed while a loop gives way ends.
func TestAMachineEndsWhileALoopGivesWay(t *testing.T) {
	vm, _ := scripttest.New(t)
	closed := make(chan struct{})
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "finish", Fn: func(*script.Call) error {
			go func() { vm.Close(); close(closed) }()
			return nil
		}})
		return nil
	})
	post(vm, "while true do end")
	scripttest.Eval(vm, "finish() while true do end")
	<-closed
	if err := vm.Do(context.Background(), func(*script.Call) error { return nil }); err != machine.ErrClosed {
		t.Errorf("error %v", err)
	}
}
