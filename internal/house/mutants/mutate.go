package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// A mutant is one edit of one file: the octets from From to To become Text.
type mutant struct {
	file     string
	line     int
	from, to int
	text     string
	what     string
	source   string // the line as it stands, for people
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

// edited is the file with the edit.
func (m *mutant) edited() ([]byte, error) {
	src, err := os.ReadFile(m.file)
	if err != nil {
		return nil, err
	}
	return append(append(append([]byte(nil), src[:m.from]...), m.text...), src[m.to:]...), nil
}

// source is one file on its way to mutants.
type source struct {
	fset  *token.FileSet
	path  string
	text  string
	lines []string
	out   []mutant
}

// mutantsOf lists the mutants of a file.
func mutantsOf(path string) ([]mutant, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &source{fset: token.NewFileSet(), path: path, text: string(text), lines: strings.Split(string(text), "\n")}
	file, err := parser.ParseFile(s.fset, path, text, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && !wording(fn) {
			ast.Inspect(fn.Body, s.visit)
		}
	}
	return s.out, nil
}

// wording tells whether a function only makes words for people.
func wording(fn *ast.FuncDecl) bool { return fn.Name.Name == "String" || fn.Name.Name == "Error" }

func (s *source) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt:
		s.around(n, "if false { ", " }", "not run")
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE && !blank(n) {
			s.around(n, "if false { ", " }", "not run")
		}
	case *ast.IfStmt:
		s.around(n.Cond, "false && (", ")", "never true")
		s.around(n.Cond, "true || (", ")", "always true")
	case *ast.BinaryExpr:
		s.operator(n)
	case *ast.Ident:
		s.truth(n)
	}
	return true
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

// operator turns comparisons and junctions into their neighbours.
func (s *source) operator(b *ast.BinaryExpr) {
	other, ok := map[token.Token]string{
		token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
		token.LAND: "||", token.LOR: "&&", token.ADD: "-", token.SUB: "+",
	}[b.Op]
	if !ok || b.Op == token.ADD && textual(b) {
		return
	}
	from := s.offset(b.OpPos)
	s.add(b.OpPos, from, from+len(b.Op.String()), other, fmt.Sprintf("%s for %s", other, b.Op))
}

// textual tells whether a sum has a text in it.
func textual(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return textual(e.X) || textual(e.Y)
	case *ast.BasicLit:
		return e.Kind == token.STRING
	}
	return false
}

func (s *source) truth(id *ast.Ident) {
	other, ok := map[string]string{"true": "false", "false": "true"}[id.Name]
	if ok {
		from := s.offset(id.Pos())
		s.add(id.Pos(), from, from+len(id.Name), other, other+" for "+id.Name)
	}
}

// around puts text around a node.
func (s *source) around(n ast.Node, before, after, what string) {
	from, to := s.offset(n.Pos()), s.offset(n.End())
	s.add(n.Pos(), from, to, before+s.text[from:to]+after, what)
}

func (s *source) add(at token.Pos, from, to int, text, what string) {
	line := s.fset.Position(at).Line
	s.out = append(s.out, mutant{s.path, line, from, to, text, what, strings.TrimSpace(s.lines[line-1])})
}

func (s *source) offset(p token.Pos) int { return s.fset.Position(p).Offset }

// mutants lists those of the package in places that tests reach, and counts the
// others.
func (p *pkg) mutants(reached func(file string, line int) bool) (list []mutant, unreached int) {
	for _, f := range p.GoFiles {
		all, err := mutantsOf(filepath.Join(p.Dir, f))
		if err != nil {
			continue // the tests that have just passed did not need it
		}
		for _, m := range all {
			if reached(f, m.line) {
				list = append(list, m)
			} else {
				unreached++
			}
		}
	}
	return list, unreached
}
