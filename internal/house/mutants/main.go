// Command mutants breaks a package on purpose, one place at a time, and tells
// which breaks no test notices.
//
//	mutants [-time 10m] [-seed N] [-tests ./internal/worker] ./internal/cache
//
// A mutant is one small edit (mutate.go): a statement that is not run, a condition
// that always or never holds, a comparison that is off by one, a truth value
// turned round. It never touches the tree: the edited file is laid over the real
// one (go build -overlay) for one run of the package's tests, and of those that
// -tests names. Mutants are drawn at random, for a fixed time; the seed is printed
// so that a run can be had again. Places that no test of the package reaches are
// not tried but counted.
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
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "draws the mutants in the same order again")
	tests := flag.String("tests", "", "further packages whose tests have to notice, separated by commas")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mutants [-time 10m] [-seed N] [-tests PACKAGE,...] PACKAGE")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), split(*tests), *within, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// run tries mutants of one package.
func run(path string, tests []string, within time.Duration, seed uint64) error {
	p, err := load(path)
	if err != nil {
		return err
	}
	t := &tester{pkg: p, tests: append([]string{path}, tests...)}
	if err := t.prepare(); err != nil {
		return err
	}
	defer t.close()
	mutants, unreached := p.mutants(t.reached)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(mutants), func(i, k int) { mutants[i], mutants[k] = mutants[k], mutants[i] })
	fmt.Printf("%s: %d mutants, %d more in places that no test reaches; seed %d, %v\n", path, len(mutants), unreached, seed, within)
	var n tally
	for end := time.Now().Add(within); n.next < len(mutants) && time.Now().Before(end); n.next++ {
		m := &mutants[n.next]
		v, err := t.try(m)
		if err != nil {
			return err
		}
		if n.add(v); v == survived {
			fmt.Printf("survived: %s\n", m)
		}
	}
	fmt.Println(&n)
	return nil
}

// tally counts what became of the mutants.
type tally struct {
	next   int
	became [fates]int
}

func (n *tally) add(v fate) { n.became[v]++ }

func (n *tally) String() string {
	tried := n.became[killed] + n.became[survived]
	return fmt.Sprintf("tried %d: %d noticed, %d survived (%.0f %%); %d do not compile",
		tried, n.became[killed], n.became[survived], 100*float64(n.became[survived])/float64(max(tried, 1)), n.became[invalid])
}
