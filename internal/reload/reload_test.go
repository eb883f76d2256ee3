package reload

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kresd/internal/limits"
)

// What became of a reload is known by its number, also when others have ended since.
func TestTheOutcomeOfAReloadIsItsOwn(t *testing.T) {
	var s State
	run := func(errors ...string) (number int) {
		s.Ask()
		number = s.Ask()
		s.Begin()
		s.Replaced = number
		s.End(errors)
		return number
	}
	failed := run("config:1: no")
	run()
	for _, number := range []int{failed - 1, failed} { // one run has done both
		if r, known := s.Of(number); !known || r.Replaced != failed || !reflect.DeepEqual(r.Errors, []string{"config:1: no"}) {
			t.Errorf("reload %d: %+v, known %t", number, r, known)
		}
	}
	asked := s.Ask()
	if r, known := s.Of(asked); known {
		t.Errorf("before it has ended: %+v", r)
	}
	for range limits.ReloadRuns {
		run()
	}
	if r, known := s.Of(failed); known {
		t.Errorf("after so many others: %+v", r)
	}
	if r, known := s.Of(asked); !known || r.Errors != nil || len(s.Runs) != limits.ReloadRuns {
		t.Errorf("reload %d: %+v, known %t, of %d runs", asked, r, known, len(s.Runs))
	}
}

// However many reloads are asked for while one is under way, one more does them all, and
// what came of the one before is known until then.
func TestReloadsAreDoneTogether(t *testing.T) {
	var s State
	if s.Due() {
		t.Error("nobody has asked, and a reload is due")
	}
	first := s.Ask()
	s.Begin()
	for range 100 {
		s.Ask()
	}
	last := s.Ask()
	if s.Due() || s.Ended >= first {
		t.Errorf("while the first is under way: %+v", s)
	}
	s.End([]string{"config:1: no"})
	if !s.Due() || s.Ended != first || s.Failed != 1 || s.Completed != 0 {
		t.Errorf("after the first: %+v", s)
	}
	s.Begin()
	if !reflect.DeepEqual(s.Errors(), []string{"config:1: no"}) {
		t.Errorf("while the second is under way nobody knows what became of the first: %+v", s)
	}
	s.End(nil)
	if s.Due() || s.Ended != last || s.Failed != 1 || s.Completed != 1 || s.Errors() != nil || s.Phase != Idle {
		t.Errorf("after the second: %+v", s)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	var s State
	s.Ask()
	s.Begin()
	s.End(append([]string{strings.Repeat("ä", limits.ReloadErrorText)}, make([]string, 2*limits.ReloadErrors)...))
	if n := len(s.Errors()); n != limits.ReloadErrors+1 || s.Errors()[n-1] != fmt.Sprintf("and %d more", limits.ReloadErrors+1) {
		t.Errorf("%d errors are kept, the last is %q", n, s.Errors()[n-1])
	}
	if e := s.Errors()[0]; len(e) > limits.ReloadErrorText+len("…") || !strings.HasSuffix(e, "ä…") {
		t.Errorf("of a long error %d octets are kept, ending in %q", len(e), e[len(e)-9:])
	}
	c := s.Clone()
	if c.Errors()[1] = "changed"; s.Errors()[1] == "changed" {
		t.Error("a clone shares its errors")
	}
}

// What a program says of a configuration, and what it is taken for when it says nothing
// that can be understood.
func TestCheck(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	for text, want := range map[string]string{
		`[ "$*" = "--check-config -f 2 dir" ] && [ "$` + ReportVar + `" ] && echo '{"mistakes":[]}'`: "",
		`echo '{"mistakes":["config:1: a","config:2: b"]}'; exit 1`:                                  "config:1: a|config:2: b",
		`echo 'no JSON'`:                     "cannot check the configuration: it does not say what it found",
		`echo oh >&2; echo more >&2; exit 3`: "cannot check the configuration: oh",
		`exit 3`:                             "cannot check the configuration: exit status 3",
		`kill -9 $$`:                         "cannot check the configuration: signal: killed",
		`echo '{"mistakes":[]}'; exit 1`:     "cannot check the configuration: exit status 1",
		`head -c 3000000 /dev/zero | tr '\0' x; head -c 3000000 /dev/zero`: "cannot check the configuration: it does not say what it found",
	} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(Checker{Path: program, Args: []string{"kresd", "-f", "2", "dir"}, Env: os.Environ()}.Check(), "|")
		if want == "" && got != "" || !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := (Checker{Path: program + "none", Args: []string{"kresd"}}).Check(); len(got) != 1 || !strings.Contains(got[0], "no such file") {
		t.Errorf("no program: %q", got)
	}
}
