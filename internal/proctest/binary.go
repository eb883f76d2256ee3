package proctest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binEnv names the directory of the binaries under test, for the tests of this
// process and of those that it starts again inside a namespace.
const binEnv = "KRESD_TEST_BIN"

// Main builds the programs once, runs the tests and ends the process. It is what
// TestMain calls. Where KRESD_TEST_BIN names a directory its binaries are used.
// What is in after is called when all tests have run.
func Main(m *testing.M, after ...func()) {
	if text := os.Getenv(sandboxEnv); text != "" {
		enterSandbox(text)
	}
	run := func() int {
		status := m.Run()
		for _, f := range after {
			f()
		}
		return status
	}
	if os.Getenv(binEnv) != "" {
		os.Exit(run())
	}
	dir, err := os.MkdirTemp("", "kresd-bin")
	if err == nil {
		err = os.Chmod(dir, 0o755) // tests run them as other users, too
	}
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proctest:", err)
		os.Exit(1)
	}
	os.Setenv(binEnv, dir)
	status := run()
	os.RemoveAll(dir)
	os.Exit(status)
}

func build(dir string) error {
	root, err := root()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-pgo=cmd/kresd/kresd.pgo", "-o", dir+"/", // as make build does
		"./cmd/kresd", "./cmd/kresd-supervisor", "./cmd/kresc", "./cmd/kres-cache-gc", "./internal/authority/cmd/smallnet")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// Bin returns the path of a program under test: kresd, kresd-supervisor, kresc, kres-cache-gc or
// smallnet; a path is that of a program itself.
func Bin(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(os.Getenv(binEnv), name)
}

// Root returns the top directory of the source tree.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func root() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no go.mod above the working directory: %w", os.ErrNotExist)
}

// Shared returns a path below the shared specification's directory,
// KRESD_SHARED, default ../shared beside the source tree. Where it is absent the
// test says so in one line and ends; .ci/run demands it.
func Shared(t testing.TB, path string) string {
	t.Helper()
	dir := os.Getenv("KRESD_SHARED")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared")
	}
	full := filepath.Join(dir, path)
	if _, err := os.Stat(full); err != nil {
		if os.Getenv("KRESD_SHARED_REQUIRED") != "" {
			t.Fatalf("KRESD_SHARED: %v", err)
		}
		t.Skipf("not run: %v (set KRESD_SHARED)", err)
	}
	return full
}
