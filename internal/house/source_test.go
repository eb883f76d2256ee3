package house

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// checked is a package of ours with its types.
type checked struct {
	path  string // below kresd/
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
}

// at is a place for people.
func (c *checked) at(p token.Pos) string {
	at := c.fset.Position(p)
	return filepath.Join(c.path, filepath.Base(at.Filename)) + ":" + itoa(at.Line)
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

type listed struct {
	ImportPath, Dir, Export string
	GoFiles, CgoFiles       []string
	Imports                 []string
	Standard                bool
}

// list is go list's answer about packages. The folders are looked at, too, so that
// go test knows what its verdict depends on and does not repeat an old one.
func list(t *testing.T, args ...string) (out []listed) {
	t.Helper()
	for _, top := range []string{"../../internal", "../../cmd"} {
		if err := filepath.WalkDir(top, func(string, fs.DirEntry, error) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(raw))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

// sources are all our packages without their tests, read once for all rules.
func sources(t *testing.T) []*checked {
	t.Helper()
	once.Do(func() { read = load(t) })
	if read == nil {
		t.Fatal("the sources could not be read")
	}
	return read
}

var (
	once sync.Once
	read []*checked
)

func load(t *testing.T) (out []*checked) {
	all := list(t, "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,CgoFiles,Standard", "kresd/...")
	exports := map[string]string{}
	for _, p := range all {
		exports[p.ImportPath] = p.Export
	}
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range all {
		if strings.HasPrefix(p.ImportPath, "kresd/") {
			out = append(out, check(t, fset, from, p))
		}
	}
	return out
}

func check(t *testing.T, fset *token.FileSet, from types.Importer, p listed) *checked {
	c := &checked{path: strings.TrimPrefix(p.ImportPath, "kresd/"), fset: fset, info: &types.Info{
		Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}}
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		c.files = append(c.files, f)
	}
	conf := types.Config{Importer: from, FakeImportC: true}
	if _, err := conf.Check(p.ImportPath, fset, c.files, c.info); err != nil {
		t.Fatalf("%s: %v", p.ImportPath, err)
	}
	return c
}

// each visits every node of a package.
func (c *checked) each(fn func(ast.Node)) {
	for _, f := range c.files {
		ast.Inspect(f, func(n ast.Node) bool {
			if n != nil {
				fn(n)
			}
			return true
		})
	}
}

// tools are the parts that play the world around the daemon in tests and in make
// run; the rules about its own time and goroutines are not for them.
func (c *checked) isTool() bool {
	return strings.HasPrefix(c.path, "internal/authority") || c.path == "internal/proctest" || strings.HasPrefix(c.path, "internal/house")
}
