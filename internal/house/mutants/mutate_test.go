package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const example = `package p

func f(a, b int) (ok bool) {
	if x := a; x < b && a > 0 {
		note(a)
		b = a + 1
	}
	defer note(b)
	_ = a
	return true
}

func note(int) {}

func (t T) String() string { return "a" + pad(true) }
`

// Every mutant is one that Go can read, and each kind of break is among them.
func TestMutantsOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.go")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := mutantsOf(path)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for i := range list {
		text, err := list[i].edited()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), "p.go", text, 0); err != nil {
			t.Errorf("%s: %v", &list[i], err)
		}
		if string(text) == example {
			t.Errorf("%s changes nothing", &list[i])
		}
		seen = append(seen, list[i].text)
	}
	all := strings.Join(seen, "\n")
	for _, want := range []string{
		"false && (x < b && a > 0)", "true || (x < b && a > 0)", "<=", "||", ">=", "if false { note(a) }", "if false { b = a + 1 }", "-",
		"if false { defer note(b) }", "false",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no mutant has %q", want)
		}
	}
	if len(list) != 10 {
		t.Errorf("got %d mutants, want 10:\n%s", len(list), all)
	}
}
