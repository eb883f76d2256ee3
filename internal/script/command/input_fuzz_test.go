package command

import (
	"strings"
	"testing"

	"kresd/internal/script"
	"kresd/internal/script/source"
)

// FuzzSplit feeds console input: nothing may be lost, nothing may panic, and
// input that is not waited for gets shorter.
func FuzzSplit(f *testing.F) {
	for _, text := range []string{
		"a = 1\nb = 2\n", "function f()\nend", "x = [==[\n]==]", "--[[ a", "net = { '::1', a = { b = 1 } }", "\"\\x41\\", "net.bufsize 4096",
		"goto x ::x::", "return 1, 2 .. 'x'", "cache = { ['size'] = 1, storage = function() end }", "0x1p4 1e+ ..",
	} {
		f.Add(text)
	}
	vm, err := New(script.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		chunk, rest, wait := vm.Split(text)
		switch {
		case wait && (chunk != "" || rest != text):
			t.Fatalf("Split(%q) = %q, %q and waits", text, chunk, rest)
		case !wait && text != "" && len(rest) >= len(text):
			t.Fatalf("Split(%q) makes no progress", text)
		case !wait && !strings.HasPrefix(text, chunk):
			t.Fatalf("Split(%q) invents %q", text, chunk)
		}
		if msg := vm.checker.compile(text); strings.Contains(msg, "cannot read") {
			t.Fatalf("the machine panics on %q", text)
		}
		source.Constructors(text, "cache")
		source.Blank(text)
	})
}
