// Command kresd is a caching DNS resolver.
//
// One program plays several parts: a worker on its own, with or without a console
// on its terminal, or one that runs a script; the check of a configuration; the supervisor of a group (-f N); a worker of such a
// group, started by the supervisor; and a child that reads a suspect cache. This file decides which, and no more.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"kresd/internal/cli"
	"kresd/internal/console"
	"kresd/internal/inforce"
	"kresd/internal/ipc"
	"kresd/internal/privilege"
	"kresd/internal/rundir"
	"kresd/internal/seal"
	"kresd/internal/supervisor"
	"kresd/internal/systemd"
	"kresd/internal/worker"
)

const program = "kresd"

func main() {
	// First of all: Go ends a process that writes to a broken standard output
	// or error, unless somebody listens for SIGPIPE. Ignoring it instead would
	// be inherited by programs that are started from here.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(os.Args))
}

func run(args []string) int {
	if dir := os.Getenv(worker.CheckCacheVar); dir != "" {
		return worker.CheckCache(dir) // a worker's throw-away child
	}
	link, err := ipc.FromEnv()
	if err != nil {
		return fail(err)
	}
	o, err := cli.Parse(args[1:])
	switch {
	case err != nil:
		return fail(err)
	case o.Help:
		fmt.Print(cli.Usage(program))
		return 0
	case o.Version:
		fmt.Print(supervisor.VersionText(supervisor.This))
		return 0
	case o.Check:
		return worker.Check(worker.Options{CLI: o, Seal: seal.Process})
	case o.Script != "":
		return worker.Script(worker.Options{CLI: o})
	case link != nil:
		return member(link, o)
	case o.Forks > 1:
		return supervisor.Launch(program, supervisor.This, args, o)
	}
	return alone(o)
}

func fail(err error) int {
	cli.Complain(os.Stderr, program, err)
	return cli.Status(err)
}

// member is a worker of a group. Its supervisor has prepared the run
// directory, where this process already is.
func member(link *ipc.Link, o cli.Options) int {
	rename()
	offer()
	if err := hide(); err != nil {
		return fail(err)
	}
	endInTime(link)
	o.Interactive = false
	sockets, err := handedOn(link)
	if err != nil {
		return fail(err)
	}
	var conf *inforce.Configuration
	if kept := link.InForce(); kept != nil {
		if conf, err = inforce.Read(kept); err != nil {
			link.Unfit()
			link.Fatal(fmt.Sprintf("the configuration that is in force cannot be had from the supervisor: %v", err))
			return 1
		}
		kept.Close()
	}
	return worker.Run(worker.Options{CLI: o, Args: os.Args[1:], Renounce: privilege.Renounce, Link: link, Sockets: sockets, InForce: conf})
}

// handedOn are the sockets that the group was started with, under the numbers that
// they had then.
func handedOn(link *ipc.Link) (sockets []systemd.Socket, err error) {
	for _, p := range link.Passed() {
		s, err := systemd.OpenSocket(p.FD, p.Kind)
		if err != nil {
			return nil, err
		}
		s.FD = p.Was
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// rename gives the process the program's name, by which ps and pstree show it:
// executed as /proc/self/exe it would be called "exe". Where there is no /proc
// there is no ps either.
func rename() {
	_ = os.WriteFile("/proc/self/comm", []byte(program), 0)
}

// offer has the system, when memory is out, end this process before its supervisor, which
// can start it again.
func offer() {
	const file, more, most = "/proc/self/oom_score_adj", 100, 1000
	text, err := os.ReadFile(file)
	n, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil && bad == nil {
		_ = os.WriteFile(file, []byte(strconv.Itoa(min(n+more, most))), 0)
	}
}

// hide keeps a worker that starts, for which the supervisor binds any port, from a sibling
// that strangers have taken over. With GOTRACEBACK=crash whoever started the group wants
// images of its workers.
func hide() error {
	if os.Getenv("GOTRACEBACK") == "crash" {
		return nil
	}
	return privilege.Hide()
}

// alone is the only worker, with a console on its terminal or without.
func alone(o cli.Options) int {
	sockets, kept, err := supervisor.PassedSockets(o)
	if err != nil {
		return fail(err)
	}
	o.Interactive = o.Interactive && len(sockets) == 0
	if o.Interactive {
		err = console.Usable(os.Stdin)
	} else {
		err = supervisor.OwnGroup()
	}
	if err != nil {
		return fail(err)
	}
	conf, told := resumed(kept)
	configs := o.Configs
	if conf != nil {
		configs = nil // nobody reads them
	}
	warnings, err := rundir.Prepare(o.RunDir, configs)
	if err != nil {
		return fail(err)
	}
	return worker.Run(worker.Options{CLI: o, Args: os.Args[1:], Renounce: privilege.Renounce, Sockets: sockets, InForce: conf, Notify: systemd.NewNotifier(), Warnings: append(told, warnings...)})
}

// resumed is the configuration that the process before this one has left with the service
// manager, nil where there is none, and what the log says of it.
func resumed(kept *os.File) (conf *inforce.Configuration, told []string) {
	if kept == nil {
		return nil, nil
	}
	defer kept.Close()
	conf, line := inforce.Take(kept, inforce.Read)
	return conf, []string{line}
}
