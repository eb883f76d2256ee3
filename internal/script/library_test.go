package script_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

// withLibrary is a machine with one library.
func withLibrary(t *testing.T, lib script.Library) *command.Interpreter {
	t.Helper()
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(*script.Call) error { vm.AddLibraries(lib); return nil })
	return vm
}

func TestALibraryIsOpenedOnceAndWhenItIsRequired(t *testing.T) {
	opened := 0
	vm := withLibrary(t, script.Library{Name: "a.lib", Open: func(c *script.Call) (any, error) {
		opened++
		return c.LibraryTable("lib", []script.Func{{Name: "twice", Args: "number", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(2 * c.Number(1)) }}}, script.Entry{"SEVEN", 7}), nil
	}})
	if opened != 0 {
		t.Error("it was opened before anybody asked for it")
	}
	scripttest.Expect(t, vm,
		[2]string{"local l = require('a.lib') return l.twice(l.SEVEN)", "14"},
		[2]string{"require('a.lib') == package.loaded['a.lib']", "true\n"},
		[2]string{"return select(2, pcall(require('a.lib').twice)):match('wrong.*')", "wrong number of arguments to 'lib.twice'; usage: lib.twice(number)"},
		[2]string{"lib", "nil\n"},
		[2]string{"package.loaded['a.lib'] = 'own' return require('a.lib')", "own"},
	)
	if opened != 1 {
		t.Errorf("it was opened %d times", opened)
	}
}

func TestALibraryCanBeReplacedByAScript(t *testing.T) {
	vm := withLibrary(t, script.Library{Name: "a.lib", Open: func(*script.Call) (any, error) { return "ours", nil }})
	scripttest.Expect(t, vm, [2]string{"package.preload['a.lib'] = function() return 'theirs' end return require('a.lib')", "theirs"})
}

func TestALibraryOfLuaText(t *testing.T) {
	vm := withLibrary(t, script.Library{Name: "text", Open: func(c *script.Call) (any, error) {
		return c.LibraryText("text", "local base = ...\nreturn { add = function(n) return base + n end, fail = function() error('broken') end }", 40)
	}})
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.AddLibraries(script.Library{Name: "wrong", Open: func(c *script.Call) (any, error) { return c.LibraryText("wrong", "return return") }})
		return nil
	})
	scripttest.Expect(t, vm,
		[2]string{"return require('text').add(2)", "42"},
		[2]string{"return select(2, pcall(require('text').fail))", "text:2: broken"},
		[2]string{"require('wrong')", "ERROR wrong:1: …"},
	)
}

// While a library's function is outside, the machine serves other commands; when its
// command is given up, so is the function.
func TestOutsideHoldsUpNobody(t *testing.T) {
	vm, _ := scripttest.New(t)
	release, begun, ended := make(chan struct{}), make(chan struct{}, 2), make(chan error, 2)
	wait := func(ctx context.Context) (string, error) {
		begun <- struct{}{}
		select {
		case <-release:
			return "done", nil
		case <-ctx.Done():
			ended <- ctx.Err()
			return "", ctx.Err()
		}
	}
	outside := func(name string, fn func(context.Context) (string, error)) script.Func {
		return script.Func{Name: name, Fn: func(c *script.Call) error {
			v, err := script.Outside(c, fn)
			if err != nil {
				return err
			}
			return c.Return(v)
		}}
	}
	scripttest.Do(t, vm, func(*script.Call) error {
		vm.Register(outside("outside", wait), outside("falls", func(context.Context) (string, error) { panic("bug") }))
		return nil
	})
	first := make(chan string, 1)
	go func() { first <- scripttest.Eval(vm, "return outside()") }()
	<-begun
	scripttest.Expect(t, vm, [2]string{"return 1 + 1", "2"})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-begun; cancel() }()
	if got, failed := vm.Eval(ctx, "outside()"); !failed {
		t.Errorf("what was given up shows %q", got)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("its context ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("its context did not end")
	}
	close(release)
	if got := <-first; got != "done" {
		t.Errorf("it returned %q", got)
	}
	scripttest.Expect(t, vm, [2]string{"return select(2, pcall(falls))", "internal error in a library"})
}
