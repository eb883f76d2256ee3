package script

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// newVM makes a machine whose output goes to the returned buffer. Read it only
// after an Eval returned.
func newVM(t *testing.T) (*VM, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	vm, err := New(Options{Stdout: &out, Stderr: &out, Getenv: func(name string) (string, bool) {
		return "value of " + name, name == "HOME" || name == "USER"
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	return vm, &out
}

// do runs fn on the owner goroutine.
func do(t *testing.T, vm *VM, fn func(c *Call) error) {
	t.Helper()
	if err := vm.Do(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// eval returns what a command shows; errors begin with "ERROR ".
func eval(vm *VM, chunk string) string {
	out, isErr := vm.Eval(context.Background(), chunk)
	if isErr {
		return "ERROR " + out
	}
	return out
}

// expect runs commands in order and compares what they show. A want that ends
// in … stands for any rest.
func expect(t *testing.T, vm *VM, pairs ...[2]string) {
	t.Helper()
	for _, p := range pairs {
		got, want := eval(vm, p[0]), p[1]
		prefix, open := strings.CutSuffix(want, "…")
		if got != want && !(open && strings.HasPrefix(got, prefix)) {
			t.Errorf("%s\n got %q\nwant %q", p[0], got, want)
		}
	}
}
