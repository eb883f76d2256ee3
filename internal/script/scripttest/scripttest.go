// Package scripttest makes whole machines for the tests of the packages below script.
package scripttest

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/script/command"
)

// New makes a machine whose output goes to the returned buffer. Read it only
// after an Eval returned.
func New(t *testing.T) (*command.Interpreter, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	vm, err := command.New(script.Options{Stdout: &out, Stderr: &out, Getenv: func(name string) (string, bool) {
		return "value of " + name, name == "HOME" || name == "USER"
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	return vm, &out
}

// Do runs fn on the owner goroutine.
func Do(t *testing.T, vm *command.Interpreter, fn func(c *script.Call) error) {
	t.Helper()
	if err := vm.Do(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// Eval returns what a command shows; errors begin with "ERROR ".
func Eval(vm *command.Interpreter, chunk string) string {
	out, isErr := vm.Eval(context.Background(), chunk)
	if isErr {
		return "ERROR " + out
	}
	return out
}

// Expect runs commands in order and compares what they show. A want that ends
// in … stands for any rest.
func Expect(t *testing.T, vm *command.Interpreter, pairs ...[2]string) {
	t.Helper()
	for _, p := range pairs {
		got, want := Eval(vm, p[0]), p[1]
		prefix, open := strings.CutSuffix(want, "…")
		if got != want && !(open && strings.HasPrefix(got, prefix)) {
			t.Errorf("%s\n got %q\nwant %q", p[0], got, want)
		}
	}
}

// Cache is an object in the manner of cache and net.
func Cache(log *[]string) script.Object {
	size := 1.0
	note := func(format ...string) { *log = append(*log, strings.Join(format, " ")) }
	return script.Object{
		Name: "cache", Help: "the cache of answers", Protected: true,
		Funcs: []script.Func{
			{Name: "clear", Args: "[name]", Help: "forgets entries", Max: 1, Fn: func(c *script.Call) error { return c.Return(c.OptString(1, "all")) }},
			{Name: "max_ttl", Args: "[seconds]", Max: 1, Fn: func(c *script.Call) error { return c.Return(c.OptInt(1, 0, 100, 7)) }},
			{Name: "fail", Fn: func(*script.Call) error { return errors.New("no such user") }},
			{Name: "crash", Fn: func(c *script.Call) error { var list []int; return c.Return(list[c.NArgs()]) }},
			{Name: "crash_text", Fn: func(*script.Call) error { panic("text") }},
		},
		Fields: []script.Field{
			{Name: "size", Help: "its size in octets", Get: func(*script.Call) (any, error) { return size, nil }, Set: func(c *script.Call) error {
				size = float64(c.Int(1, 1, 1000))
				note("size", luavalue.FormatNumber(size))
				return nil
			}},
			{Name: "storage", Set: func(c *script.Call) error { note("storage", c.String(1)); return nil }},
			{Name: "current_size", Get: func(*script.Call) (any, error) { return size, nil }},
		},
		Assign: func(c *script.Call, key any) (bool, error) {
			if _, ok := key.(float64); ok {
				note("entry", luavalue.KeyText(key), c.String(1))
				return true, nil
			}
			return false, nil
		},
		Index: func(c *script.Call, key any) any {
			if key == "eth0" {
				return []string{"addr"}
			}
			return nil
		},
	}
}

// WithCache makes a machine with Cache, and what that was told.
func WithCache(t *testing.T) (*command.Interpreter, *[]string) {
	vm, _ := New(t)
	var log []string
	Do(t, vm, func(*script.Call) error { vm.RegisterObject(Cache(&log)); return nil })
	return vm, &log
}

// Eventually waits until something is so.
func Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Goroutines waits until there are no more goroutines than most.
func Goroutines(t *testing.T, most int) {
	t.Helper()
	for range 400 {
		if runtime.NumGoroutine() <= most {
			return
		}
		time.Sleep(25 * time.Millisecond)
		runtime.GC()
	}
	t.Errorf("%d goroutines are left, %d were there before", runtime.NumGoroutine(), most)
}
