package servertable

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"kresd/internal/clock"
)

// A file that was cut off while workers had it mapped killed them all.
func TestAFileThatIsCutOffIsForgotten(t *testing.T) {
	for name, use := range map[string]func(*Table){
		"Load":   func(tab *Table) { tab.Load(address(1)) },
		"Update": func(tab *Table) { tab.Update(address(1), func(r Record) Record { return r }) },
		"Each":   func(tab *Table) { tab.Each(func(Key, Record) bool { return true }) },
		"Clear":  (*Table).Clear,
		"Take":   func(tab *Table) { tab.Take([]byte("www.example.com A"), 1) },
		"Return": func(tab *Table) { tab.Return([]byte("www.example.com A")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, lines := t.TempDir(), []string(nil)
			tab, err := Open(dir, clock.Real(), func(line string) { lines = append(lines, line) })
			if err != nil {
				t.Fatal(err)
			}
			defer tab.Close()
			put(t, tab, address(1), 7, 7)
			if err := os.Truncate(filepath.Join(dir, Name), 0); err != nil {
				t.Fatal(err)
			}
			use(tab)
			if _, ok := tab.Load(address(1)); ok {
				t.Error("known without a file")
			}
			put(t, tab, address(2), 1, 42) // alone
			wantData(t, tab, address(2), 42)
			if len(lines) != 1 || !strings.Contains(lines[0], "cut off: what is known") {
				t.Errorf("warned: %q", lines)
			}
		})
	}
}

// Only faults of the mapping are swallowed.
func TestPanicsOfTheCallerPass(t *testing.T) {
	tab := open(t, t.TempDir())
	defer func() {
		if recover() != "mine" {
			t.Error("the caller's panic is lost")
		}
	}()
	tab.Update(address(1), func(Record) Record { panic("mine") })
}

// Whether a fault ends the process is the caller's again after each call, and who wants no
// warnings gets none.
func TestACallLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Name), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	tab, err := Open(dir, clock.Real(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	for _, panics := range []bool{false, true} {
		before := debug.SetPanicOnFault(panics)
		tab.Load(address(1))
		tab.Take([]byte("www.example.com A"), 1)
		if got := debug.SetPanicOnFault(before); got != panics {
			t.Errorf("a fault panics: %v before a call, %v after it", panics, got)
		}
	}
}
