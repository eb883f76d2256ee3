package house

import (
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// upward are the arrows between files that run against the order which a package's
// comment gives, and why they may.
var upward = map[string]string{
	"internal/script/vm.go -> ref.go":        "a machine remembers the values that it was given",
	"internal/script/vm.go -> object.go":     "likewise objects",
	"internal/script/vm.go -> handle.go":     "likewise classes",
	"internal/script/vm.go -> documented.go": "and what there are words about",
	"internal/script/value.go -> object.go":  "an object, seen from outside, is a value",
	"internal/script/value.go -> handle.go":  "so is a handle",
	"internal/script/value.go -> watched.go": "and a table that is watched",

	"internal/resolve/beside.go -> phases.go": "a look-up beside goes through all phases",
}

// ordered are the packages that the test below holds to the order of their files.
var ordered = []string{"internal/bindings", "internal/bindings/network", "internal/resolve", "internal/script"}

// The comment of a package in that list has a section "# Rooms", which names its files
// from the ground up: each stands on files before it.
func TestFilesStandOnThoseBeforeThem(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range sources(t) {
		if !slices.Contains(ordered, c.path) {
			continue
		}
		order := c.rooms()
		for _, f := range c.files {
			name := c.file(f.Pos())
			if slices.Index(order, name) < 0 {
				t.Errorf("%s: the package's comment has no room for %s", c.path, name)
			}
		}
		for arrow, why := range c.arrows() {
			from, to, _ := strings.Cut(arrow, " -> ")
			if slices.Index(order, from) >= slices.Index(order, to) {
				continue
			}
			arrow = c.path + "/" + arrow
			seen[arrow] = true
			if upward[arrow] == "" {
				t.Errorf("%s: %s is declared in a file that stands above", arrow, why)
			}
		}
	}
	for arrow := range upward {
		if !seen[arrow] {
			t.Errorf("no such arrow any more: %s", arrow)
		}
	}
}

var goFile = regexp.MustCompile(`\w+\.go\b`)

// rooms are the files that the package's comment lists, in its order, and the file
// of that comment; nil when it lists none.
func (c *checked) rooms() []string {
	for _, f := range c.files {
		if _, list, ok := strings.Cut(f.Doc.Text(), "# Rooms\n"); ok {
			order := goFile.FindAllString(list, -1)
			var once []string
			for _, name := range append(order, c.file(f.Pos())) {
				if !slices.Contains(once, name) {
					once = append(once, name)
				}
			}
			return once
		}
	}
	return nil
}

func (c *checked) file(p token.Pos) string { return filepath.Base(c.fset.Position(p).Filename) }

// arrows are pairs of files of which the first uses something that the second
// declares: a name of the package, a method or a field.
func (c *checked) arrows() map[string]string {
	out := map[string]string{}
	c.each(func(n ast.Node) {
		id, ok := n.(*ast.Ident)
		if !ok {
			return
		}
		o := c.info.Uses[id]
		if o == nil || o.Pkg() == nil || !strings.HasSuffix(o.Pkg().Path(), c.path) || !outlives(o) {
			return
		}
		if from, to := c.file(id.Pos()), c.file(o.Pos()); from != to {
			out[from+" -> "+to] = o.Name()
		}
	})
	return out
}

// outlives tells whether o is more than a variable of one function.
func outlives(o types.Object) bool {
	v, ok := o.(*types.Var)
	return !ok || v.IsField() || v.Parent() == v.Pkg().Scope()
}
