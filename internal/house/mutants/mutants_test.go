package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// example has one place for each kind of break, and tests that notice all of them
// but those of lost.
var example = map[string]string{
	"go.mod":           "module example\n\ngo 1.26\n",
	"limits/limits.go": "package limits\n\nconst Most = 3\n\ntype ID int\n\nconst First ID = 1\n",
	"p.go": `package p

import (
	"errors"

	"example/limits"
)

type words string

var bad = errors.New("it is bad")

func between(a, x, b int) bool { return a <= x && x < b }

func outside(a, x, b int) bool { return x < a || x >= b }

func check(x int) (int, error) {
	if x == 0 {
		return 0, bad
	}
	return x - 1, nil
}

func most(x int) int { return min(x, limits.Most) }

func steps(n int) (all []int, done bool) {
	defer func() { done = true }()
	for i := 0; i < n; i++ {
		all = append(all, i+i)
	}
	return all, false
}

func named() limits.ID { return limits.First }

func sign(x int) words {
	switch {
	case x < 0:
		return "min" + "us"
	}
	const plain = true
	var of [limits.Most]words
	of[1] = "" + of[0]
	return of[1]
}

func lost(x int) bool {
	if x > 5 {
		return true
	}
	return false
}

func (w words) String() string { return string(w) + "." }
`,
	"p_test.go": `package p

import "testing"

func TestNumbers(t *testing.T) {
	for x, want := range []bool{false, true, true, false} {
		if between(1, x, 3) != want || outside(1, x, 3) == want {
			t.Error(x)
		}
	}
	if most(2) != 2 || most(3) != 3 || most(40) != 3 {
		t.Error("most")
	}
}

func TestErrors(t *testing.T) {
	if _, err := check(0); err != bad {
		t.Error(err)
	}
	if n, err := check(7); err != nil || n != 6 {
		t.Error(n, err)
	}
}

func TestSteps(t *testing.T) {
	if all, done := steps(3); len(all) != 3 || all[2] != 4 || !done {
		t.Error(all, done)
	}
	if sign(-1) != "minus" || sign(0) != "" || sign(1) != "" {
		t.Error("sign")
	}
}

func TestLost(t *testing.T) { lost(5) }
`,
}

// A package with all its mutants in it passes its tests while none is in force, and
// each mutant is noticed by a test that looks at what it breaks.
func TestMutantsAreNoticedByTests(t *testing.T) {
	dir := t.TempDir()
	for name, text := range example {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	s, err := newSchema(".", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	with, err := newTester(s, []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range s.mutants() {
		got = append(got, fmt.Sprintf("%s: %s: %s", with.try(m), m.what, m.source))
	}
	lost := []string{
		"survived: never true: if x > 5 {", "survived: always true: if x > 5 {", "survived: >= for >: if x > 5 {",
		"not reached: false for true: return true", "survived: true for false: return false",
	}
	for _, want := range append([]string{
		"noticed: < for <=: func between(a, x, b int) bool { return a <= x && x < b }",
		"noticed: <= for <: func between(a, x, b int) bool { return a <= x && x < b }",
		"noticed: || for &&: func between(a, x, b int) bool { return a <= x && x < b }",
		"noticed: && for ||: func outside(a, x, b int) bool { return x < a || x >= b }",
		"noticed: > for >=: func outside(a, x, b int) bool { return x < a || x >= b }",
		"noticed: != for ==: if x == 0 {", "noticed: never true: if x == 0 {", "noticed: always true: if x == 0 {",
		"noticed: nil for the error: return 0, bad", "noticed: + for -: return x - 1, nil",
		"noticed: ten times: func most(x int) int { return min(x, limits.Most) }",
		"noticed: not run: defer func() { done = true }()", "noticed: never true: for i := 0; i < n; i++ {",
		"noticed: not run: all = append(all, i+i)", "noticed: - for +: all = append(all, i+i)",
		"noticed: never true: case x < 0:", "noticed: always true: case x < 0:",
	}, lost...) {
		if !slices.Contains(got, want) {
			t.Errorf("there is no %q", want)
		}
	}
	for _, g := range got {
		if !strings.HasPrefix(g, "noticed: ") && !slices.Contains(lost, g) && !equivalent(g) {
			t.Errorf("got %q, want it noticed", g)
		}
		if strings.Contains(g, "plain") || strings.Contains(g, "var of") || strings.Contains(g, "String") || strings.Contains(g, "named") {
			t.Errorf("got %q, which is a constant or only words", g)
		}
	}
}

// equivalent tells whether a mutant of the example does what the real code does.
func equivalent(m string) bool {
	return strings.HasSuffix(m, `: not run: of[1] = "" + of[0]`) || strings.HasSuffix(m, ": true for false: return all, false")
}
