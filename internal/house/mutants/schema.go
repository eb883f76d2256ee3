package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	Export     string
	GoFiles    []string
}

// schema is a package with all its mutants in it, each switched by its number.
type schema struct {
	pkg    pkg
	dir    string // where files are made
	fset   *token.FileSet
	files  []*ast.File
	info   *types.Info
	types  *types.Package
	places []*sites
	skip   map[string]map[int]bool // lines, by file, with mutants that do not compile
}

// newSchema reads a package.
func newSchema(path, dir string) (*schema, error) {
	deps, err := list("-export", "-deps", path)
	if err != nil {
		return nil, err
	}
	s := &schema{pkg: deps[len(deps)-1], dir: dir, fset: token.NewFileSet(), skip: map[string]map[int]bool{}}
	exports := map[string]string{}
	for _, d := range deps {
		exports[d.ImportPath] = d.Export
	}
	for _, f := range s.pkg.GoFiles {
		file, err := parser.ParseFile(s.fset, filepath.Join(s.pkg.Dir, f), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, file)
	}
	s.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{FakeImportC: true, Importer: importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	s.types, err = conf.Check(s.pkg.ImportPath, s.fset, s.files, s.info)
	return s, err
}

// list asks for packages; with -deps the last is the one that was asked for.
func list(args ...string) ([]pkg, error) {
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Dir,Export,GoFiles"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", strings.Join(args, " "), err)
	}
	var all []pkg
	for in := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

func (s *schema) mutants() (all []*mutant) {
	for _, f := range s.places {
		all = append(all, f.mutants...)
	}
	return all
}

//go:embed switch.go.txt
var switched string

//go:embed recorder.go.txt
var recorder string

// build compiles the tests of a package twice over the schema: once with its
// mutants, once with switches that note that they were reached.
func (s *schema) build(test pkg, mutated, recording string) error {
	if err := s.compile(test, mutated, switched); err != nil {
		return err
	}
	return s.compile(test, recording, recorder)
}

// compile leaves out the lines that the compiler refuses: the switches need types
// that a few expressions do not have.
func (s *schema) compile(test pkg, to, switches string) error {
	for {
		overlay, err := s.write(switches)
		if err != nil {
			return err
		}
		out, err := exec.Command("go", "test", "-c", "-vet=off", "-gcflags="+s.pkg.ImportPath+"=-e", "-overlay="+overlay, "-o", to, test.ImportPath).CombinedOutput()
		if err == nil {
			return nil
		}
		if !s.refused(string(out)) {
			return fmt.Errorf("%s does not compile: %w\n%s", test.ImportPath, err, out)
		}
	}
}

var complaint = regexp.MustCompile(`([a-z0-9_]+\.go):(\d+):\d+: (.*)`)

// refused takes lines out of the schema that the compiler complains about, and
// tells whether there were any.
func (s *schema) refused(out string) (some bool) {
	for _, c := range complaint.FindAllStringSubmatch(out, -1) {
		line, _ := strconv.Atoi(c[2])
		if s.skip[c[1]] == nil {
			s.skip[c[1]] = map[int]bool{}
		}
		if !s.skip[c[1]][line] {
			fmt.Printf("left out: %s:%d: %s\n", c[1], line, c[3])
			s.skip[c[1]][line], some = true, true
		}
	}
	return some
}

// write makes the files of the schema and the list that lays them over the real
// ones.
func (s *schema) write(switches string) (overlay string, err error) {
	number := 0
	s.places = nil
	laid := map[string]string{}
	for i, file := range s.files {
		path := filepath.Join(s.pkg.Dir, s.pkg.GoFiles[i])
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		f := &sites{fset: s.fset, info: s.info, pkg: s.types, path: path, lines: strings.Split(string(text), "\n"), skip: s.skip[s.pkg.GoFiles[i]]}
		f.next = func() int { number++; return number }
		f.names = s.imports(file)
		f.find(file)
		s.places = append(s.places, f)
		laid[path] = filepath.Join(s.dir, s.pkg.GoFiles[i])
		if err := os.WriteFile(laid[path], f.edits.apply(text), 0o600); err != nil {
			return "", err
		}
	}
	path := filepath.Join(s.pkg.Dir, "mutant_switch.go")
	laid[path] = filepath.Join(s.dir, "mutant_switch.go")
	text := strings.NewReplacer("PACKAGE", s.pkg.Name, "MUTANTS", strconv.Itoa(number+1)).Replace(switches + helpers)
	if err := os.WriteFile(laid[path], []byte(text), 0o600); err != nil {
		return "", err
	}
	overlay = filepath.Join(s.dir, "overlay.json")
	content, err := json.Marshal(map[string]any{"Replace": laid})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, content, 0o600)
}

// imports tells by which names a file calls the packages that it imports.
func (s *schema) imports(file *ast.File) map[*types.Package]string {
	names := map[*types.Package]string{}
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		for _, p := range s.types.Imports() {
			if p.Path() != path {
				continue
			}
			if names[p] = p.Name(); i.Name != nil {
				names[p] = i.Name.Name
			}
		}
	}
	return names
}

//go:embed helpers.go.txt
var helpers string
