package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
}

func load(path string) (*pkg, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles", path).Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", path, err)
	}
	p := &pkg{}
	return p, json.Unmarshal(out, p)
}

// fate is what became of a mutant.
type fate int

const (
	killed   fate = iota // a test noticed
	survived             // none did
	invalid              // it does not compile
	fates
)

// tester runs the tests over mutants.
type tester struct {
	pkg   *pkg
	tests []string
	dir   string
	limit time.Duration           // of one run
	lines map[string]map[int]bool // that tests reach, by file
}

// prepare runs the tests as they are: they have to pass, and tell how long they
// take and what they reach.
func (t *tester) prepare() (err error) {
	if t.dir, err = os.MkdirTemp("", "mutants"); err != nil {
		return err
	}
	profile := filepath.Join(t.dir, "cover")
	began := time.Now()
	args := append([]string{"test", "-count=1", "-coverpkg=" + t.pkg.ImportPath, "-coverprofile=" + profile}, t.tests...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("the tests do not pass as they are: %w\n%s", err, out)
	}
	t.limit = 3*time.Since(began) + 20*time.Second
	return t.read(profile)
}

// read takes in a coverage profile: file:line.column,line.column statements count.
func (t *tester) read(profile string) error {
	f, err := os.Open(profile)
	if err != nil {
		return err
	}
	defer f.Close()
	t.lines = map[string]map[int]bool{}
	for in := bufio.NewScanner(f); in.Scan(); {
		file, rest, ok := strings.Cut(in.Text(), ":")
		var from, to, c1, c2, n, count int
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &from, &c1, &to, &c2, &n, &count); !ok || err != nil || count == 0 {
			continue
		}
		name := filepath.Base(file)
		if t.lines[name] == nil {
			t.lines[name] = map[int]bool{}
		}
		for l := from; l <= to; l++ {
			t.lines[name][l] = true
		}
	}
	return nil
}

func (t *tester) reached(file string, line int) bool { return t.lines[file][line] }

// try runs the tests with one mutant in place.
func (t *tester) try(m *mutant) (fate, error) {
	text, err := m.edited()
	if err != nil {
		return 0, err
	}
	file, overlay := filepath.Join(t.dir, "mutant.go"), filepath.Join(t.dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return 0, err
	}
	laid, _ := json.Marshal(map[string]map[string]string{"Replace": {m.file: file}})
	if err := os.WriteFile(overlay, laid, 0o600); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.limit)
	defer cancel()
	args := append([]string{"test", "-count=1", "-failfast", "-vet=off", "-overlay=" + overlay, "-timeout=" + t.limit.String()}, t.tests...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return survived, nil
	case strings.Contains(string(out), "[build failed]"):
		return invalid, nil
	}
	return killed, nil
}

func (t *tester) close() { os.RemoveAll(t.dir) }
