package test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kresd/internal/proctest"
)

// expectedFailures reads testdata/scenarios.expected: the ids in it, each once.
func expectedFailures(t *testing.T) (path string, ids []string) {
	t.Helper()
	path = filepath.Join(proctest.Root(t), "testdata", "scenarios.expected")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		id, _, _ := strings.Cut(line, " #")
		if id = strings.TrimSpace(id); id == "" || id[0] == '#' {
			continue
		}
		if slices.Contains(ids, id) || strings.ContainsAny(id, "*?[:") {
			t.Errorf("%s: %s is there twice, or a pattern", path, id)
		}
		ids = append(ids, id)
	}
	return path, ids
}

// The list of expected failures holds scenarios that need validation or a module,
// and nothing else may hide there.
func TestExpectedScenarios(t *testing.T) {
	sets := proctest.Shared(t, "rpl/sets")
	topics, err := os.ReadFile(filepath.Join(sets, "topics.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	_, ids := expectedFailures(t)
	for _, id := range ids {
		text, err := os.ReadFile(filepath.Join(sets, id+".rpl"))
		if err != nil {
			t.Errorf("no such scenario: %v", err)
			continue
		}
		module := strings.Contains("\n"+string(topics), "\n"+id+"\tmodules\n") || strings.HasPrefix(id, "modules/ta_update")
		if !module && !strings.Contains(string(text), "trust-anchor") {
			t.Errorf("%s needs neither validation nor a module: it has to pass", id)
		}
	}
}

// lastLine is how the runner sums up.
var lastLine = regexp.MustCompile(`(?m)^\d+ passed, \d+ failed, (\d+) skipped.*$`)

// Every public scenario passes but those that are listed, and these fail: an
// unexpected pass is an error, so that the list stays true.
func TestScenarios(t *testing.T) {
	list, _ := expectedFailures(t)
	play(t, "--expected-failures", list)
}

// The project's own scenarios pass, all of them. Each directory is a class of
// problem, and each file says which case it is.
func TestOwnScenarios(t *testing.T) {
	play(t, filepath.Join(proctest.Root(t), "testdata", "scenarios"))
}

// play runs scenarios; args tell which.
func play(t *testing.T, args ...string) {
	t.Helper()
	run := proctest.Shared(t, "rpl/run")
	work := proctest.RunDir(t)
	args = append([]string{"-q", "--strict", "-j", "2", "--query-timeout", "12", "--workdir", work}, args...)
	cmd := exec.Command(run, args...)
	cmd.Env = append(os.Environ(), "KRESD_BIN="+proctest.Bin("kresd"), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	sum := lastLine.FindStringSubmatch(string(out))
	switch {
	case err != nil:
		t.Errorf("%v: an XPASS has to leave testdata/scenarios.expected\n%s", err, out)
	case sum == nil:
		t.Errorf("the runner did not sum up:\n%s", out)
	case sum[1] != "0":
		t.Errorf("scenarios were skipped: %s", sum[0])
	default:
		t.Log(sum[0])
	}
}
