// Command mutants breaks a package on purpose, one place at a time, and tells
// which breaks no test notices.
//
//	mutants [-time 10m] [-max N] [-seed N] [-tests ./internal/worker] ./internal/cache
//
// A mutant is one small change (sites.go): a statement or deferred call that is not
// run, a condition that always or never holds, a comparison that is off by one, a
// truth value turned round, an error that is not returned, a limit that is ten
// times as high. All mutants of the package are compiled into one test binary
// (schema.go), in which a variable of the environment puts one of them in force, so
// that trying one costs a run of tests and no compilation. The tree is never
// touched: the changed files are laid over the real ones (go build -overlay).
//
// A second binary tells which test reaches which mutant (tester.go); a mutant is
// tried with those tests alone, and one that no test reaches has survived. Mutants
// are drawn at random, for a fixed time; the seed is printed so that a run can be
// had again.
//
// The tools of others that we know turn operators round but do not take
// statements out, which is how protections get lost.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

func main() {
	within := flag.Duration("time", 10*time.Minute, "how long mutants are tried")
	most := flag.Int("max", 0, "how many mutants are tried at most (0: as many as the time allows)")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "draws the mutants in the same order again")
	tests := flag.String("tests", "", "further packages whose tests have to notice, separated by commas")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mutants [-time 10m] [-max N] [-seed N] [-tests PACKAGE,...] PACKAGE")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), split(*tests), *within, *most, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// run tries mutants of one package.
func run(path string, tests []string, within time.Duration, most int, seed uint64) error {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSchema(path, dir)
	if err != nil {
		return err
	}
	t, err := newTester(s, append([]string{path}, tests...))
	if err != nil {
		return err
	}
	mutants := s.mutants()
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(mutants), func(i, k int) { mutants[i], mutants[k] = mutants[k], mutants[i] })
	fmt.Printf("%s: %d mutants; seed %d, %v\n", path, len(mutants), seed, within)
	if most > 0 {
		mutants = mutants[:min(most, len(mutants))]
	}
	var n tally
	for end := time.Now().Add(within); n.tried < len(mutants) && time.Now().Before(end); {
		m := mutants[n.tried]
		f := t.try(m)
		if n.add(f); f != noticed {
			fmt.Printf("%s: %s\n", f, m)
		}
	}
	fmt.Println(&n)
	return nil
}

// fate is what became of a mutant.
type fate int

const (
	noticed   fate = iota // by a test
	survived              // tests that reach it pass
	unreached             // there are none
	fates
)

func (f fate) String() string { return [fates]string{"noticed", "survived", "not reached"}[f] }

// tally counts what became of the mutants.
type tally struct {
	tried  int
	became [fates]int
}

func (n *tally) add(f fate) {
	n.tried++
	n.became[f]++
}

func (n *tally) String() string {
	lost := n.became[survived] + n.became[unreached]
	return fmt.Sprintf("tried %d: %d noticed, %d survived (%.0f %%), %d of these reached by no test",
		n.tried, n.became[noticed], lost, 100*float64(lost)/float64(max(n.tried, 1)), n.became[unreached])
}
