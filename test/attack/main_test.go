// Package attack plays, on loopback and against the real kresd, what hostile name
// servers and their accomplices do: each row of the threat list that has to do
// with iteration has a test named after it. A test asserts the bound that
// limits promise, and leaves its figure in one table that `make attack` prints
// and that is written to .build/attack.md.
//
// KRESD_ATTACK_SCALE=10 plays everything that is counted in packets ten times as
// large; 1, the default, is for every run of the tests. With 14 no attack is
// smaller than in the threat list (a million forgeries, 10,000 random names a
// second). Where the list bounds the time that a message costs, the time is that
// of the processor and the bound the list's own; other times are told and not
// judged, because the machine has other things to do.
package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"kresd/internal/proctest"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(swarmEnv); order != "" {
		if err := beSwarm(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	proctest.Main(m, report)
}

// scale multiplies the size of attacks.
func scale() int {
	n, err := strconv.Atoi(os.Getenv("KRESD_ATTACK_SCALE"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// A figure is one line of the table.
type figure struct{ row, attack, got, bound string }

// figures are those of this run: tests have no other way to leave something for
// the end.
var figures struct {
	sync.Mutex
	list []figure
}

// tell logs a figure and keeps it for the table.
func tell(t *testing.T, row, attack, bound, format string, args ...any) {
	t.Helper()
	f := figure{row, attack, fmt.Sprintf(format, args...), bound}
	t.Logf("%s, %s: %s (bound: %s)", f.row, f.attack, f.got, f.bound)
	figures.Lock()
	defer figures.Unlock()
	figures.list = append(figures.list, f)
}

// report writes the table.
func report() {
	if len(figures.list) == 0 {
		return
	}
	slices.SortStableFunc(figures.list, func(a, b figure) int { return byRow(a.row) - byRow(b.row) })
	var b strings.Builder
	b.WriteString("| row | attack | figure | bound |\n|---|---|---|---|\n")
	for _, f := range figures.list {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.row, f.attack, f.got, f.bound)
	}
	fmt.Print(b.String())
	dir := filepath.Join("..", "..", ".build")
	if err := os.MkdirAll(dir, 0o755); err == nil {
		err = os.WriteFile(filepath.Join(dir, "attack.md"), []byte(b.String()), 0o644)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// byRow orders A3 before A11 before B1.
func byRow(row string) int {
	n, _ := strconv.Atoi(row[1:])
	return int(row[0])*100 + n
}
