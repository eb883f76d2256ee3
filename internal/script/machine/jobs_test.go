package machine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

// hooked calls a function of a script as a request does.
func hooked(vm *command.Interpreter, text string) error {
	return vm.Hook(context.Background(), func(c *script.Call) error {
		c.Stack().Global(text)
		fn := vm.VM.RefTo(c.Stack(), -1)
		c.Stack().Pop(1)
		_, err := fn.Call()
		return err
	})
}

// A request's function that does not end is ended, be it that it runs or waits, and the
// log can say where it stood. The time that it waits for others does not count.
func TestFunctionsOfRequestsEnd(t *testing.T) {
	vm, err := command.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	wait := make(chan struct{})
	if err := vm.Do(context.Background(), func(c *script.Call) error {
		vm.Register(script.Func{Name: "pause", Fn: func(c *script.Call) error { return c.StepAside(wait) }})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	const text = "function loop()\n  local n = 0 while true do n = n + 1 end\nend\nfunction rest()\n  pause()\nend\nfunction quick() end\nfunction wrong()\n  local t = nil\n  return t.x\nend\n"
	if err := vm.RunText(context.Background(), "layers.lua", text); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ fn, says string }{
		{"loop", "layers.lua:2: ended: it ran longer than 500ms\nstack traceback:\n\tlayers.lua:2: in function"},
		{"rest", "layers.lua:5: ended: it took longer than 2s\nstack traceback:\n"},
		{"wrong", "layers.lua:10: attempt to index"},
	} {
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- hooked(vm, c.fn) }()
		time.Sleep(10 * time.Millisecond)
		if err := hooked(vm, "quick"); err != nil {
			t.Errorf("behind %s: %v", c.fn, err)
		}
		if c.fn == "rest" && time.Since(began) >= limits.LuaHookTime {
			t.Errorf("others waited for %s", c.fn)
		}
		err := <-ended
		if err == nil || !strings.HasPrefix(script.Report(err), c.says) || !strings.Contains(script.Report(err), "stack traceback:\n") {
			t.Errorf("%s: got %q", c.fn, err)
			if err != nil {
				t.Errorf("%s", script.Report(err))
			}
		}
	}
	if got := script.Report(errors.New("plain")); got != "plain" {
		t.Errorf("got %q", got)
	}
}

// Sleeping functions of requests were counted as commands are: from the seventeenth on
// they kept the machine, and nobody else had it.
func TestManySleepingHooksHoldUpNobody(t *testing.T) {
	vm, err := command.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	wake := make(chan struct{})
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(script.Func{Name: "pause", Fn: func(c *script.Call) error { return c.StepAside(wake) }})
		return nil
	})
	if err := vm.RunText(context.Background(), "layers.lua", "n = 0 function rest() n = n + 1 pause() end function count() return n end"); err != nil {
		t.Fatal(err)
	}
	const most = limits.LuaHooksAside
	ended := make(chan error, most+5)
	for range most + 5 {
		go func() { ended <- hooked(vm, "rest") }()
	}
	for range 5 {
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "wait themselves already") {
			t.Errorf("one too many: %v", err)
		}
	}
	session := vm.NewSession()
	if got, isErr := session.Eval(context.Background(), "n", nil); isErr || got != "261\n" {
		t.Errorf("a command says %q", got)
	}
	close(wake)
	for range most {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
