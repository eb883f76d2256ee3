package machine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

// withStep adds step(n), which steps aside until the channel of n is closed, and
// tells on entered that it does.
func withStep(t *testing.T, n int) (vm *command.Interpreter, entered chan int, release []chan struct{}) {
	vm, _ = scripttest.New(t)
	entered = make(chan int, 1000)
	for range n {
		release = append(release, make(chan struct{}))
	}
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "step", Min: 1, Max: 1, Fn: func(c *script.Call) error {
			i := c.Int(1, 0, n-1)
			entered <- i
			if err := c.StepAside(release[i]); err != nil {
				return err
			}
			return c.Return(fmt.Sprintf("<%d>", i))
		}})
		return nil
	})
	return vm, entered, release
}

// soon fails the test rather than to wait for good.
func soon[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(20 * time.Second):
		t.Fatalf("never: %s", what)
	}
	return v
}

func background(vm *command.Interpreter, chunk string) <-chan string {
	out := make(chan string, 1)
	go func() { out <- scripttest.Eval(vm, chunk) }()
	return out
}

// Commands that stepped aside hold up nothing, end in any order, and go on with
// all that they had: locals, upvalues that others changed, values on their stack.
func TestACommandThatStepsAsideHoldsUpNobody(t *testing.T) {
	vm, entered, release := withStep(t, 2)
	first := background(vm, "local a, n = 'x' .. 'y', 1; bump = function() n = n + 1 return n end; local b = step(0) return a .. b .. n .. ('z'):rep(2)")
	soon(t, "the first steps aside", entered)
	second := background(vm, "return 's' .. step(1) .. tostring(g)")
	soon(t, "the second steps aside", entered)

	for chunk, want := range map[string]string{
		"g = 5": "", "1 + 1": "2\n", "('a'):upper() .. table.concat({1, 2}, ';')": "A1;2\n", "pcall(error, 'x')": "false\n",
		"io.type(io.stdout)": "file\n", "hostname == nil": "…",
	} {
		if got := soon(t, chunk, background(vm, chunk)); got != want && want != "…" {
			t.Errorf("%s: %q, want %q", chunk, got, want)
		}
	}
	if got := soon(t, "bump", background(vm, "bump() return bump()")); got != "3" {
		t.Errorf("a function over the local of a command that waits: %q", got)
	}
	posted := make(chan bool, 1)
	vm.Post(func(c *script.Call) error { posted <- c.Within(script.Console); return nil })
	if soon(t, "an event", posted) {
		t.Error("an event runs inside of a command")
	}
	hooked := make(chan error, 1)
	go func() { hooked <- vm.Hook(context.Background(), func(*script.Call) error { return nil }) }()
	if err := soon(t, "a hook", hooked); err != nil {
		t.Error(err)
	}
	mapped := make(chan command.Result, 1)
	go func() { mapped <- vm.MapEval(context.Background(), "g") }()
	if res := soon(t, "a mapped expression", mapped); res.Value != 5.0 {
		t.Errorf("mapped: %+v", res)
	}

	close(release[0])
	if got := soon(t, "the first ends", first); got != "xy<0>3zz" {
		t.Errorf("the first: %q", got)
	}
	close(release[1])
	if got := soon(t, "the second ends", second); got != "s<1>5" {
		t.Errorf("the second: %q", got)
	}
	if got := scripttest.Eval(vm, "g"); got != "5\n" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestManyStepAside(t *testing.T) {
	vm, entered, release := withStep(t, 1)
	const n = limits.ConsoleClients + 4 // the last few wait in the old way, or for those
	var all []<-chan string
	for i := range n {
		all = append(all, background(vm, fmt.Sprintf("local i = %d for _ = 1, 100 do i = i + 1 end local r = step(0) .. tostring(pcall(step, 0)) return i .. r", i)))
	}
	for range limits.ConsoleClients {
		soon(t, "they step aside", entered)
	}
	close(release[0])
	for i, out := range all {
		if got, want := soon(t, "it ends", out), fmt.Sprint(i+100)+"<0>true"; got != want {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
}

// What a file or our own code has begun is not overtaken.
func TestNotAllStepAside(t *testing.T) {
	vm, entered, release := withStep(t, 1)
	var step *script.Ref
	scripttest.Do(t, vm, func(c *script.Call) error {
		vm.Register(script.Func{Name: "keep", Min: 1, Max: 1, Fn: func(c *script.Call) error { step = c.Function(1); return nil }})
		return nil
	})
	scripttest.Eval(vm, "keep(function() step(0) order = (order or '') .. 'callback ' end)")
	go func() {
		_ = vm.Do(context.Background(), func(*script.Call) error { _, err := step.Call(); return err })
	}()
	soon(t, "it waits", entered)
	after := background(vm, "order = (order or '') .. 'command' return order")
	select {
	case out := <-after:
		t.Errorf("a command ran inside of a callback: %q", out)
	case <-time.After(50 * time.Millisecond):
	}
	close(release[0])
	if got := soon(t, "the command ends", after); got != "callback command" {
		t.Errorf("%q", got)
	}
}

// A callback of an event that waited, as for an answer over HTTP, held up all other scripts
// and the console.
func TestACallbackThatWaitsHoldsUpNobody(t *testing.T) {
	vm, entered, release := withStep(t, 1)
	var callback *script.Ref
	scripttest.Do(t, vm, func(c *script.Call) error {
		vm.Register(script.Func{Name: "keep", Min: 1, Max: 1, Fn: func(c *script.Call) error { callback = c.Function(1); return nil }})
		return nil
	})
	scripttest.Eval(vm, "ended = 0 keep(function() step(0) ended = ended + 1 end)")
	for range limits.LuaEventsAside {
		vm.Post(func(*script.Call) error { _, err := callback.Call(); return err })
		soon(t, "a callback waits", entered)
	}
	if got := scripttest.Eval(vm, "return 'command' .. ended"); got != "command0" {
		t.Errorf("meanwhile: %q", got)
	}
	// One more waits in place, so that not any number of stacks is kept.
	vm.Post(func(*script.Call) error { _, err := callback.Call(); return err })
	soon(t, "the last callback waits", entered)
	after := background(vm, "return tostring(ended > 0)")
	close(release[0])
	if got := soon(t, "the command ends", after); got != "true" {
		t.Errorf("a command overtook one callback too many")
	}
	for scripttest.Eval(vm, "return tostring(ended)") != fmt.Sprint(limits.LuaEventsAside+1) {
		time.Sleep(time.Millisecond)
	}
}

// A command that stepped aside earlier does not come back into what our own code has
// begun, although that waits: it would see half of what that does.
func TestACommandDoesNotReturnInsideOfACallback(t *testing.T) {
	vm, entered, release := withStep(t, 2)
	var callback *script.Ref
	scripttest.Do(t, vm, func(c *script.Call) error {
		vm.Register(script.Func{Name: "keep", Min: 1, Max: 1, Fn: func(c *script.Call) error { callback = c.Function(1); return nil }})
		return nil
	})
	scripttest.Eval(vm, "order = '' keep(function() order = order .. 'callback begins, ' step(1) order = order .. 'ends, ' end)")
	command := background(vm, "step(0) order = order .. 'command' return order")
	soon(t, "the command steps aside", entered)
	go func() {
		_ = vm.Do(context.Background(), func(*script.Call) error { _, err := callback.Call(); return err })
	}()
	soon(t, "the callback waits", entered)
	close(release[0])
	soon(t, "the command wants to return", vm.Machine().WantsBack())
	vm.Machine().WantsBackStill()
	if res := vm.MapEval(t.Context(), "order"); res.Value != "callback begins, " { // the machine looks at its queues
		t.Errorf("while the callback waits: %+v", res)
	}
	close(release[1])
	if got := soon(t, "the command ends", command); got != "callback begins, ends, command" {
		t.Errorf("%q", got)
	}
}

func TestSteppingAsideIsNotRunningTime(t *testing.T) {
	vm, entered, release := withStep(t, 1)
	go func() {
		<-entered
		time.Sleep(1500 * time.Millisecond) // longer than the budget
		close(release[0])
	}()
	if err := evalWithin(vm, time.Second, "eval_cmd('step(0)') for i = 1, 20000 do end"); err != nil {
		t.Errorf("after waiting: %v", err)
	}
	if err := evalWithin(vm, time.Second, "step(0) while true do end"); err == nil {
		t.Error("the budget was lost by waiting")
	}
}

func TestSteppingAsideEndsWithItsContextAndTheMachine(t *testing.T) {
	vm, entered, _ := withStep(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-entered; cancel() }()
	if out, isErr := vm.Eval(ctx, "pcall(step, 0) while true do end"); !isErr || out != "interrupted" {
		t.Errorf("%q", out)
	}
	one, two := background(vm, "step(0)"), background(vm, "pcall(step, 0) return 'not ended'")
	soon(t, "the first waits", entered)
	soon(t, "the second waits", entered)
	closed := make(chan struct{})
	go func() { vm.Close(); close(closed) }()
	for _, out := range []<-chan string{one, two} {
		if got := soon(t, "it ends", out); got != "ERROR "+script.ErrClosed.Error() {
			t.Errorf("%q", got)
		}
	}
	soon(t, "the machine ends", closed)
	if err := vm.Do(context.Background(), nil); err != script.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}
