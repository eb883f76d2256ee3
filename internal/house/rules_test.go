package house

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
	"testing"
)

// calendar are the methods that make a date of a time. What is judged by dates
// (TTLs, signatures, files) is judged by the clock that may be shifted; an instant
// of the system's that serves for deadlines and for how long something took has
// no date.
var calendar = strings.Fields("Unix UnixMilli UnixMicro UnixNano Date Clock Year Month Day Hour Minute Weekday YearDay ISOWeek " +
	"Format AppendFormat String GoString UTC Local In Location Zone ZoneBounds MarshalText MarshalJSON MarshalBinary GobEncode")

// Only clock reads what time of day it is; the others are told by it.
func TestNobodyReadsTheCalendarButTheClock(t *testing.T) {
	for _, c := range sources(t) {
		if c.path == "internal/clock" || c.isTool() {
			continue
		}
		instants := c.instants()
		c.each(func(n ast.Node) {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !has(calendar, sel.Sel.Name) || !c.isTime(sel.X) {
				return
			}
			if root := c.root(sel.X); root == "now" || instants[root] {
				t.Errorf("%s: %s of the system's time: ask package clock", c.at(n.Pos()), sel.Sel.Name)
			}
		})
	}
}

// instants are the variables and fields that are given the system's time.
func (c *checked) instants() map[string]bool {
	out := map[string]bool{}
	c.each(func(n ast.Node) {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Lhs) != len(a.Rhs) {
			return
		}
		for i, r := range a.Rhs {
			if c.isTime(r) && c.root(r) == "now" {
				out[c.root(a.Lhs[i])] = true
			}
		}
	})
	return out
}

func (c *checked) isTime(e ast.Expr) bool {
	tv, ok := c.info.Types[e]
	return ok && types.TypeString(tv.Type, nil) == "time.Time"
}

// root is what an expression of a time goes back to: "now" for the system's time,
// whatever was added to it, else the object it names.
func (c *checked) root(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.CallExpr:
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok {
			if f, ok := c.info.Uses[sel.Sel].(*types.Func); ok && f.FullName() == "time.Now" {
				return "now"
			}
			if c.isTime(sel.X) {
				return c.root(sel.X)
			}
		}
	case *ast.SelectorExpr:
		return c.object(e.Sel)
	case *ast.Ident:
		return c.object(e)
	case *ast.ParenExpr:
		return c.root(e.X)
	}
	return ""
}

func (c *checked) object(id *ast.Ident) string {
	obj := c.info.Uses[id]
	if obj == nil {
		obj = c.info.Defs[id]
	}
	if obj == nil {
		return ""
	}
	return c.fset.Position(obj.Pos()).String()
}

// A panic in a goroutine ends the process, so each is started by safe, which
// recovers.
func TestGoroutinesAreStartedBySafe(t *testing.T) {
	for _, c := range sources(t) {
		if c.path == "internal/safe" || c.isTool() {
			continue
		}
		c.each(func(n ast.Node) {
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: a bare go statement: start it with safe.Group", c.at(n.Pos()))
			}
		})
	}
}

// Package variables are set where they are declared and never changed: with
// several workers in one test, and with two of anything, the second would change
// the first.
func TestPackageVariablesHoldNoState(t *testing.T) {
	for _, c := range sources(t) {
		if c.isTool() {
			continue
		}
		c.each(func(n ast.Node) {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					return
				}
				for _, l := range n.Lhs {
					c.unchanged(t, l)
				}
			case *ast.IncDecStmt:
				c.unchanged(t, n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					c.unchanged(t, n.X)
				}
			case *ast.ValueSpec:
				for _, name := range n.Names {
					if v := c.packageVar(name); v != nil && stateful(v.Type()) {
						t.Errorf("%s: %s is made to be changed: give it to whoever needs it", c.at(name.Pos()), name.Name)
					}
				}
			}
		})
	}
}

// unchanged complains of a changed place that lies in a package variable.
func (c *checked) unchanged(t *testing.T, e ast.Expr) {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SelectorExpr:
			if v := c.packageVar(x.Sel); v != nil {
				t.Errorf("%s: %s is changed here", c.at(e.Pos()), v.Name())
				return
			}
			e = x.X
		case *ast.Ident:
			if v := c.packageVar(x); v != nil {
				t.Errorf("%s: %s is changed here", c.at(e.Pos()), v.Name())
			}
			return
		default:
			return
		}
	}
}

// packageVar is the package variable of ours that an identifier names, or nil.
func (c *checked) packageVar(id *ast.Ident) *types.Var {
	obj := c.info.Uses[id]
	if obj == nil {
		obj = c.info.Defs[id]
	}
	v, ok := obj.(*types.Var)
	if !ok || v.IsField() || v.Pkg() == nil || v.Parent() != v.Pkg().Scope() || !strings.HasPrefix(v.Pkg().Path(), "kresd/") {
		return nil
	}
	return v
}

// stateful tells whether a type serves for nothing but to be changed.
func stateful(t types.Type) bool {
	switch u := t.(type) {
	case *types.Named:
		if p := u.Obj().Pkg(); p != nil && (p.Path() == "sync" || p.Path() == "sync/atomic") {
			return true
		}
		return stateful(u.Underlying())
	case *types.Struct:
		for i := range u.NumFields() {
			if stateful(u.Field(i).Type()) {
				return true
			}
		}
	case *types.Chan:
		return true
	case *types.Array:
		return stateful(u.Elem())
	}
	return false
}

// A limit that is counted is one that somebody counts.
func TestEveryCountedLimitIsHitSomewhere(t *testing.T) {
	used := map[string]bool{}
	var ids []types.Object
	for _, c := range sources(t) {
		for _, obj := range c.info.Defs {
			if k, ok := obj.(*types.Const); ok && k.Exported() && types.TypeString(k.Type(), nil) == "kresd/internal/limits.ID" {
				ids = append(ids, k)
			}
		}
		if c.path == "internal/limits" {
			continue
		}
		for _, obj := range c.info.Uses {
			if k, ok := obj.(*types.Const); ok && types.TypeString(k.Type(), nil) == "kresd/internal/limits.ID" {
				used[k.Name()] = true
			}
		}
	}
	if len(ids) < 30 {
		t.Fatalf("only %d counted limits were found", len(ids))
	}
	for _, id := range ids {
		if id.Name() != "None" && !used[id.Name()] {
			t.Errorf("limits.%s is counted by nobody", id.Name())
		}
	}
}

func has(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// A value on the machine's stack is whatever it is: who reads it must know what the
// machine leaves there. Outside of script a Call's accessors do that.
func TestTheStackIsTouchedByScriptAlone(t *testing.T) {
	const machine = "github.com/Shopify/go-lua"
	within := false
	for _, c := range sources(t) {
		inside := c.path == "internal/script" || strings.HasPrefix(c.path, "internal/script/")
		for id, obj := range c.info.Uses {
			if obj.Pkg() == nil || obj.Pkg().Path() != machine {
				continue
			}
			if within = within || inside; !inside {
				t.Errorf("%s: %s is the machine's own: use an accessor of script.Call", c.at(id.Pos()), obj.Name())
			}
		}
	}
	if !within {
		t.Error("nobody uses the machine: this test looks for the wrong package")
	}
}
