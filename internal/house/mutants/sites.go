package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
)

// A mutant is one change that the test binary can make.
type mutant struct {
	number int
	file   string
	line   int
	what   string
	source string // the line as it stands, for people
}

func (m *mutant) String() string {
	file := m.file
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, file); err == nil {
			file = rel
		}
	}
	return fmt.Sprintf("%s:%d: %s: %s", file, m.line, m.what, m.source)
}

// sites finds the places of one file that can be broken, and the text that has to
// go in there. Every text is one line, so that lines keep their numbers.
type sites struct {
	fset    *token.FileSet
	info    *types.Info
	pkg     *types.Package
	names   map[*types.Package]string // by which the file calls its imports
	path    string
	lines   []string
	next    func() int // the number of the next mutant
	skip    map[int]bool
	edits   edits
	mutants []*mutant
}

// find goes through the functions of the file. Those that only make words for
// people are left alone.
func (s *sites) find(file *ast.File) {
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && fn.Name.Name != "String" && fn.Name.Name != "Error" {
			ast.Inspect(fn.Body, s.visit)
		}
	}
}

func (s *sites) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BlockStmt:
		s.statements(n.List)
	case *ast.CaseClause:
		s.statements(n.Body)
	case *ast.CommClause:
		s.statements(n.Body)
	case *ast.GenDecl:
		return n.Tok == token.VAR
	case *ast.ArrayType:
		return false // its length is a constant
	case *ast.IfStmt:
		s.condition(n.Cond)
	case *ast.ForStmt:
		s.loop(n.Cond)
	case *ast.SwitchStmt:
		s.cases(n)
	case *ast.ReturnStmt:
		s.results(n.Results)
	case *ast.BinaryExpr:
		s.operator(n)
	case *ast.Ident:
		s.truth(n)
	case *ast.SelectorExpr:
		s.limit(n)
	}
	return true
}

// statements are not run. A panic is left alone: without it a function may lack a
// return.
func (s *sites) statements(list []ast.Stmt) {
	for _, n := range list {
		switch n := n.(type) {
		case *ast.ExprStmt:
			if call, ok := n.X.(*ast.CallExpr); ok && s.builtin(call.Fun, "panic") {
				continue
			}
		case *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt:
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE || blank(n) {
				continue
			}
		default:
			continue
		}
		s.around(n, fmt.Sprintf("if !mutantIs(%d) { ", s.add(n.Pos(), "not run")), " }")
	}
}

func (s *sites) builtin(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	if !ok || id.Name != name {
		return false
	}
	_, ok = s.info.Uses[id].(*types.Builtin)
	return ok
}

// blank tells whether an assignment keeps nothing.
func blank(a *ast.AssignStmt) bool {
	for _, l := range a.Lhs {
		if id, ok := l.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

// condition never holds, or always.
func (s *sites) condition(e ast.Expr) {
	never, always := s.add(e.Pos(), "never true"), s.add(e.Pos(), "always true")
	s.around(e, fmt.Sprintf("!mutantIs(%d) && (mutantIs(%d) || bool(", never, always), "))")
}

func (s *sites) loop(cond ast.Expr) {
	if cond != nil {
		s.around(cond, fmt.Sprintf("!mutantIs(%d) && bool(", s.add(cond.Pos(), "never true")), ")")
	}
}

// cases of a switch without a value are conditions.
func (s *sites) cases(n *ast.SwitchStmt) {
	if n.Tag != nil {
		return
	}
	for _, c := range n.Body.List {
		for _, e := range c.(*ast.CaseClause).List {
			s.condition(e)
		}
	}
}

// results that are errors are nil instead.
func (s *sites) results(list []ast.Expr) {
	for _, e := range list {
		t := s.info.Types[e]
		if t.Type != nil && !t.IsNil() && types.Identical(t.Type, types.Universe.Lookup("error").Type()) {
			s.around(e, fmt.Sprintf("mutantError(%d, ", s.add(e.Pos(), "nil for the error")), ")")
		}
	}
}

// operator turns comparisons, junctions and sums into their neighbours. A junction
// is turned by De Morgan's law, which also keeps what is evaluated at all.
func (s *sites) operator(b *ast.BinaryExpr) {
	t := s.info.Types[b]
	if t.Type == nil || t.Value != nil {
		return
	}
	kind, _ := t.Type.Underlying().(*types.Basic)
	switch b.Op {
	case token.EQL, token.NEQ:
		other := map[token.Token]string{token.EQL: "!=", token.NEQ: "=="}[b.Op]
		s.around(b, "((", fmt.Sprintf(") != mutantIs(%d))", s.other(b, other)))
	case token.LAND, token.LOR:
		other, mark := "||", ""
		if b.Op == token.LOR {
			other, mark = "&&", "!"
		}
		is := fmt.Sprintf("%smutantIs(%d)", mark, s.other(b, other))
		s.around(b, "((", fmt.Sprintf(") != %s)", is))
		s.around(b.X, "bool(", ") != "+is)
		s.replace(b.OpPos, b.Op.String(), "&&")
		s.around(b.Y, "bool(", ") != "+is)
	case token.LSS, token.LEQ, token.GTR, token.GEQ, token.ADD, token.SUB:
		if kind != nil && kind.Info()&types.IsString != 0 {
			return
		}
		helper := map[token.Token][2]string{
			token.LSS: {"mutantLess", "<="}, token.LEQ: {"mutantLessEqual", "<"}, token.GTR: {"mutantGreater", ">="},
			token.GEQ: {"mutantGreaterEqual", ">"}, token.ADD: {"mutantSum", "-"}, token.SUB: {"mutantDifference", "+"},
		}[b.Op]
		s.around(b, fmt.Sprintf("%s(%d, ", helper[0], s.other(b, helper[1])), ")")
		s.replace(b.OpPos, b.Op.String(), ",")
	}
}

func (s *sites) other(b *ast.BinaryExpr, op string) int {
	return s.add(b.OpPos, fmt.Sprintf("%s for %s", op, b.Op))
}

func (s *sites) truth(id *ast.Ident) {
	other, ok := map[string]string{"true": "false", "false": "true"}[id.Name]
	if ok && s.info.Uses[id] == types.Universe.Lookup(id.Name) {
		mark := map[string]string{"true": "!", "false": ""}[id.Name]
		s.replace(id.Pos(), id.Name, fmt.Sprintf("%smutantIs(%d)", mark, s.add(id.Pos(), other+" for "+id.Name)))
	}
}

// limit makes a number of package limits ten times as high. Those of a type of its own
// are names for limits.
func (s *sites) limit(n *ast.SelectorExpr) {
	c, ok := s.info.Uses[n.Sel].(*types.Const)
	if !ok || c.Pkg() == nil || !strings.HasSuffix(c.Pkg().Path(), "/limits") || c.Val().Kind() != constant.Int {
		return
	}
	if own, ok := c.Type().(*types.Named); ok && own.Obj().Pkg() == c.Pkg() {
		return
	}
	t := s.info.Types[n].Type
	tenfold := constant.BinaryOp(c.Val(), token.MUL, constant.MakeInt64(10))
	kind, ok := t.Underlying().(*types.Basic)
	if !ok || !fits(tenfold, kind) {
		return
	}
	known := true
	name := types.TypeString(types.Default(t), func(p *types.Package) string {
		called, ok := s.names[p]
		known = known && (ok || p == s.pkg)
		return called
	})
	if known {
		s.around(n, fmt.Sprintf("mutantTenfold[%s](%d, ", name, s.add(n.Pos(), "ten times")), ")")
	}
}

// fits tells whether a number can be had in a type.
func fits(v constant.Value, kind *types.Basic) bool {
	switch kind.Kind() {
	case types.Int8:
		return constant.Compare(v, token.LEQ, constant.MakeInt64(1<<7-1))
	case types.Uint8:
		return constant.Compare(v, token.LEQ, constant.MakeInt64(1<<8-1))
	case types.Int16:
		return constant.Compare(v, token.LEQ, constant.MakeInt64(1<<15-1))
	case types.Uint16:
		return constant.Compare(v, token.LEQ, constant.MakeInt64(1<<16-1))
	case types.Int32:
		return constant.Compare(v, token.LEQ, constant.MakeInt64(1<<31-1))
	case types.Uint32:
		return constant.Compare(v, token.LEQ, constant.MakeInt64(1<<32-1))
	}
	return kind.Info()&types.IsNumeric != 0
}

func (s *sites) line(p token.Pos) int { return s.fset.Position(p).Line }

// add makes a mutant and tells its number.
func (s *sites) add(at token.Pos, what string) int {
	line := s.line(at)
	m := &mutant{s.next(), s.path, line, what, strings.TrimSpace(s.lines[line-1])}
	if !s.skip[line] {
		s.mutants = append(s.mutants, m)
	}
	return m.number
}

// around puts text around a node, replace in the place of what stands there. Lines
// that the compiler has refused stay as they are.
func (s *sites) around(n ast.Node, before, after string) {
	if !s.skip[s.line(n.Pos())] {
		s.edits.add(s.fset.Position(n.Pos()).Offset, 0, opening, before)
		s.edits.add(s.fset.Position(n.End()).Offset, 0, closing, after)
	}
}

func (s *sites) replace(at token.Pos, old, text string) {
	if !s.skip[s.line(at)] {
		s.edits.add(s.fset.Position(at).Offset, len(old), instead, text)
	}
}
