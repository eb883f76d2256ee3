// Command kresd-supervisor runs a group of kresd workers for a process
// manager: kresd-supervisor -f N [parameters of kresd] [rundir].
//
// It is the supervisor of "kresd -f N" as a program of its own. It differs in
// two points: one worker (the default) has a supervisor too, and the workers
// execute the kresd of this version that is beside this program, or in PATH.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"kresd/internal/cli"
	"kresd/internal/supervisor"
)

const program = "kresd-supervisor"

func main() {
	// First of all, as in kresd: a broken output is no reason to end.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	o, err := cli.Parse(args)
	switch {
	case err != nil:
		return fail(err)
	case o.Help:
		fmt.Print(cli.Usage(program))
		return 0
	case o.Version:
		fmt.Print(supervisor.VersionText(workers))
		return 0
	case o.Check, o.Script != "":
		return fail(fmt.Errorf("--check-config and --script are options of kresd"))
	}
	return supervisor.Launch(program, workers, append([]string{"kresd"}, args...), o)
}

// workers finds the program of the workers.
func workers() (*supervisor.Program, error) {
	return supervisor.Beside("kresd", strings.TrimSpace(cli.VersionLine()))
}

func fail(err error) int {
	cli.Complain(os.Stderr, program, err)
	return cli.Status(err)
}
