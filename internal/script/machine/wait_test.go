package machine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/machine"
	"kresd/internal/script/scripttest"
)

// withWait adds wait(), which tells on entered that it waits until release is
// closed.
func withWait(t *testing.T) (vm *command.Interpreter, entered chan struct{}, release chan struct{}) {
	vm, _ = scripttest.New(t)
	entered, release = make(chan struct{}, 100), make(chan struct{})
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(
			script.Func{Name: "wait", Fn: func(c *script.Call) error {
				entered <- struct{}{}
				if err := c.Wait(release); err != nil {
					return err
				}
				return c.Return("waited")
			}},
			script.Func{Name: "mapped", Fn: func(c *script.Call) error { return c.Return(c.Kind() == script.Mapped, c.Within(script.Console)) }},
		)
		return nil
	})
	return vm, entered, release
}

func TestMappedExpressionsAreServedWhileACallWaits(t *testing.T) {
	vm, entered, release := withWait(t)
	result := make(chan string)
	go func() { result <- scripttest.Eval(vm, "local a = 'x' .. 'y' local b = wait() return a .. b") }()
	<-entered
	posted := make(chan struct{})
	vm.Post(func(*script.Call) error { close(posted); return nil })
	for expr, want := range map[string]any{
		"1 + 1":                     2.0,
		"mapped()":                  true,
		"select(2, mapped())":       true,
		"v = 5":                     command.Result{Kind: command.ResultNothing},
		"{1, {x = 'y'}, f = print}": luavalue.List(1.0, (&luavalue.Table{}).Add("x", "y")),
		"nil":                       nil,
		"error('x', 0)":             command.Result{Kind: command.ResultError, Text: "x"},
		"pcall(error)":              false,
	} {
		res := vm.MapEval(context.Background(), expr)
		wantRes, isResult := want.(command.Result)
		if !isResult {
			wantRes = command.Result{Kind: command.ResultValue, Value: want}
		}
		if !same(t, res, wantRes) {
			t.Errorf("map %q = %+v, want %+v", expr, res, wantRes)
		}
	}
	select {
	case <-posted:
		t.Error("an event ran inside of a command that waits")
	default:
	}
	close(release)
	if got := <-result; got != "xywaited" {
		t.Errorf("the command that waited gave %q", got)
	}
	<-posted
}

func same(t *testing.T, a, b command.Result) bool {
	t.Helper()
	x, errX := luavalue.Append(nil, a.Value)
	y, errY := luavalue.Append(nil, b.Value)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	return a.Kind == b.Kind && a.Text == b.Text && string(x) == string(y)
}

func TestHooksAreServedWhileACallWaits(t *testing.T) {
	vm, entered, release := withWait(t)
	result := make(chan string)
	go func() { result <- scripttest.Eval(vm, "v = 1 wait() return v") }()
	<-entered
	for range 3 {
		if err := vm.Hook(context.Background(), func(c *script.Call) error { return c.Context().Err() }); err != nil {
			t.Error(err)
		}
	}
	close(release)
	if got := <-result; got != "1" {
		t.Errorf("the command that waited gave %q", got)
	}
	if err := vm.Hook(context.Background(), func(*script.Call) error { return errors.New("told") }); err == nil || err.Error() != "told" {
		t.Errorf("an idle machine: %v", err)
	}
}

func TestMappedExpressionsThatWaitInsideEachOther(t *testing.T) {
	vm, entered, release := withWait(t)
	const n = 30 // more than may nest
	results := make(chan command.Result, n)
	go func() { scripttest.Eval(vm, "wait()") }()
	<-entered
	for range n {
		go func() { results <- vm.MapEval(context.Background(), "wait()") }()
	}
	for range machine.MaxNesting - 1 {
		<-entered
	}
	close(release)
	for range n {
		if res := <-results; res.Value != "waited" {
			t.Errorf("%+v", res)
		}
	}
}

func TestWaitingIsNotRunningTime(t *testing.T) {
	vm, entered, release := withWait(t)
	go func() {
		<-entered
		time.Sleep(1500 * time.Millisecond) // longer than the budget
		close(release)
	}()
	if err := evalWithin(vm, time.Second, "wait() for i = 1, 20000 do end"); err != nil {
		t.Errorf("after waiting: %v", err)
	}
	if err := evalWithin(vm, time.Second, "wait() while true do end"); err == nil {
		t.Error("the budget was lost by waiting")
	}
}

func TestAWaitEndsWithItsContextAndTheMachine(t *testing.T) {
	vm, entered, _ := withWait(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-entered; cancel() }()
	if out, isErr := vm.Eval(ctx, "pcall(wait) while true do end"); !isErr || out != "interrupted" {
		t.Errorf("%q", out)
	}
	done := make(chan string)
	go func() { done <- scripttest.Eval(vm, "wait()") }()
	<-entered
	vm.Close()
	if got := <-done; got != "ERROR "+script.ErrClosed.Error() {
		t.Errorf("%q", got)
	}
	if err := vm.Do(context.Background(), nil); !errors.Is(err, script.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A command that waits longer than it may is told so, in the words of whoever
// bounded it, and not in those of a context.
func TestAWaitThatIsTooLongSaysSo(t *testing.T) {
	vm, _, _ := withWait(t)
	for cause, want := range map[error]string{errors.New("too long for a console"): "too long for a console", nil: "it took too long"} {
		ctx, cancel := context.WithTimeoutCause(context.Background(), 10*time.Millisecond, cause)
		if out, isErr := vm.Eval(ctx, "wait()"); !isErr || out != want {
			t.Errorf("%q, want %q", out, want)
		}
		cancel()
	}
}

func TestAJobGivenUpBeforeItStartsNeverRuns(t *testing.T) {
	vm, entered, release := withWait(t)
	go func() { scripttest.Eval(vm, "wait()") }()
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ran := false
	if err := vm.Do(ctx, func(*script.Call) error { ran = true; return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(release)
	scripttest.Do(t, vm, func(*script.Call) error { return nil })
	if ran {
		t.Error("it ran")
	}
}

func TestCallbacksAreKeptAndCalled(t *testing.T) {
	vm, out := scripttest.New(t)
	var fn, file *script.Ref
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "keep", Min: 1, Max: 2, Fn: func(c *script.Call) error {
			fn, file = c.Function(1), c.Ref(2)
			return nil
		}})
		return nil
	})
	scripttest.Expect(t, vm,
		[2]string{"local n = 0 keep(function(x, t) n = n + x return n, t[1], t end, io.stderr)", ""},
		[2]string{"keep(1)", "ERROR [string \"keep(1)\"]:1: bad argument #1 to 'keep' (function expected, got number); usage: keep()"},
	)
	scripttest.Do(t, vm, func(*script.Call) error {
		if _, err := fn.Call(1, luavalue.List("a")); err != nil {
			return err
		}
		got, err := fn.Call(2.5, luavalue.List("b"))
		if err != nil {
			return err
		}
		if got[0] != 3.5 || got[1] != "b" || got[2].(*luavalue.Table).Get(1.0) != "b" {
			t.Errorf("results %v", got)
		}
		if _, err := fn.Call("x"); err == nil || !strings.Contains(err.Error(), "attempt to") {
			t.Errorf("an error in a callback: %v", err)
		}
		vm.SetGlobal("again", file)
		return nil
	})
	scripttest.Expect(t, vm, [2]string{"io.type(again) or tostring(again == io.stderr)", "…"}, [2]string{"again == io.stderr", "true\n"})
	vm.Post(func(*script.Call) error { return errors.New("broken") })
	scripttest.Do(t, vm, func(*script.Call) error { return nil })
	if out.String() != "error: broken\n" {
		t.Errorf("output %q", out)
	}
}
