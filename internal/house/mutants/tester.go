package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tester runs the tests over mutants.
type tester struct{ suites []*suite }

// suite is the test binary of one package.
type suite struct {
	pkg       pkg
	mutated   string
	recording string
	log       string
	tests     []*test
}

// test is one top-level test, and the mutants that it reaches.
type test struct {
	name    string
	took    time.Duration
	reaches map[int]bool
}

// newTester compiles the tests of some packages and finds out what each reaches.
func newTester(s *schema, paths []string) (*tester, error) {
	t := &tester{}
	for i, path := range paths {
		found, err := list(path)
		if err != nil {
			return nil, err
		}
		file := func(name string) string { return filepath.Join(s.dir, fmt.Sprintf("%s%d", name, i)) }
		u := &suite{pkg: found[0], mutated: file("mutated"), recording: file("recording"), log: file("log")}
		if err := s.build(u.pkg, u.mutated, u.recording); err != nil {
			return nil, err
		}
		if err := u.prepare(); err != nil {
			return nil, err
		}
		t.suites = append(t.suites, u)
	}
	return t, nil
}

// nobody puts no mutant in force.
const nobody = "KRESD_MUTANT=0"

var failure = regexp.MustCompile(`(?m)^--- FAIL: ([^/ ]+) `)

// prepare runs the tests as they are, with all switches in place and none turned.
// One that fails then (it counts allocations, for instance, and the switches keep
// the compiler from avoiding them) is left out.
func (u *suite) prepare() error {
	out, _ := u.run(u.mutated, 10*time.Minute, nobody, "-test.list=.")
	var names []string
	for _, name := range strings.Fields(out) {
		if strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") || strings.HasPrefix(name, "Example") {
			names = append(names, name)
		}
	}
	out, err := u.run(u.mutated, 10*time.Minute, nobody)
	failed := failure.FindAllStringSubmatch(out, -1)
	if err != nil && len(failed) == 0 {
		return fmt.Errorf("the tests of %s do not pass: %w\n%s", u.pkg.ImportPath, err, out)
	}
	for _, f := range failed {
		fmt.Printf("left out: %s fails when no mutant is in force\n", f[1])
		names = slices.DeleteFunc(names, func(name string) bool { return name == f[1] })
	}
	for _, name := range names {
		if err := u.record(name); err != nil {
			return err
		}
	}
	return nil
}

// record runs one test to see which mutants it reaches, also in the processes that
// it starts.
func (u *suite) record(name string) error {
	if err := os.WriteFile(u.log, nil, 0o600); err != nil {
		return err
	}
	began := time.Now()
	u.run(u.recording, 10*time.Minute, "KRESD_MUTANT_LOG="+u.log, "-test.run=^"+name+"$")
	t := &test{name: name, took: time.Since(began), reaches: map[int]bool{}}
	text, err := os.ReadFile(u.log)
	for _, line := range bytes.Fields(text) {
		n, _ := strconv.Atoi(string(line))
		t.reaches[n] = true
	}
	u.tests = append(u.tests, t)
	return err
}

// quick is what a test takes that is run before the others: most mutants are noticed by
// one of these.
const quick = 300 * time.Millisecond

// try runs the tests that reach a mutant with it in force.
func (t *tester) try(m *mutant) fate {
	became := unreached
	for _, fast := range []bool{true, false} {
		for _, u := range t.suites {
			var names []string
			limit := 10 * time.Second
			for _, t := range u.tests {
				if t.reaches[m.number] && (t.took < quick) == fast {
					names = append(names, t.name)
					limit += 5 * t.took
				}
			}
			if len(names) == 0 {
				continue
			}
			became = survived
			_, err := u.run(u.mutated, limit, fmt.Sprintf("KRESD_MUTANT=%d", m.number), "-test.run=^("+strings.Join(names, "|")+")$", "-test.failfast")
			if err != nil {
				return noticed
			}
		}
	}
	return became
}

// run starts a test binary where go test would, in a process group of its own, so
// that what a mutant leaves behind ends with it.
func (u *suite) run(binary string, limit time.Duration, environment string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "-test.timeout="+limit.String())...)
	cmd.Dir, cmd.Env = u.pkg.Dir, append(os.Environ(), environment)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = end, time.Second
	out, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		end()
	}
	return string(out), err
}
