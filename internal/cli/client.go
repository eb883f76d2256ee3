package cli

import (
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"kresd/internal/version"
)

// A Task is what kresc is started for.
type Task int

// The tasks.
const (
	TalkTask   Task = iota // commands, from the command line, from a pipe or typed
	StatusTask             // figures of all workers, once
	TopTask                // figures of all workers as rates, again and again
	ReloadTask             // each group loads its configuration anew
	ConfigTask             // the configuration in force is shown
	DiffTask               // what of it is not so by default
	CheckTask              // the configuration is tried
)

// ClientOptions is what the command line of kresc says.
type ClientOptions struct {
	Task    Task
	Place   string   // a run directory, a directory that has run directories in it, or a control socket; "." by default
	Execute []string // -e
	All     bool     // -a: every worker of every group
	JSON    bool     // -j

	Count int           // -n: how often figures are shown; 0: until it is ended
	Delay time.Duration // -d: between showing figures and showing them again

	Help, Version bool
}

const clientUsage = `Usage: kresc [parameters] [place]
       kresc status [parameters] [place]
       kresc top [parameters] [place]
       kresc reload [parameters] [place]
       kresc config [check | diff] [parameters] [place]

Gives commands to kresd over the control sockets of a run directory: those of -e, those that come
from a pipe, or those that are typed. status shows the figures of all workers and asks each a question, top shows figures live.
reload has each group check its configuration and put it in force, as SIGHUP does, and waits for the
end. config shows what is in force in each group, with what is so by default, config diff what is not
so by default; config check tries the files of the configuration as they are, and changes nothing.

Parameters:
 -e, --execute=COMMAND  Run a command and end, repeatable.
 -a, --all              Run commands in every worker of every group, not in the first of each group.
 -j, --json             Show values as JSON: a line for each command; with several workers it is an
                        array with the fields group, worker, pid and result or error.
 -n, --count=N          top: show figures N times, then end (default: until Ctrl-C).
 -d, --delay=SECONDS    top: show figures each SECONDS (default: 2).
 -V, --version          Print version and end.
 -h, --help             Print this text and end.
Options:
 place                  Run directory, or one that has run directories in it, or the path of one
                        control socket (default: .). One that is called status, top, reload, config,
                        check or diff is ./status and so on.

Typed commands: Tab completes, Ctrl-R searches the history, Ctrl-C ends the command that runs and
drops what was typed, Ctrl-D, exit or quit leave. quit() ends the worker.

Exit status: 0 all commands ran; 1 one raised an error, and those behind it were not run, or the
configuration has errors, or a reload did not put all of it in force, or a worker does not answer
the question of status;
2 the command line is wrong; 3 no worker could be asked, or one was lost; 130 ended by Ctrl-C.
`

// ClientUsage is the text of kresc's --help.
func ClientUsage() string { return clientUsage }

// ClientVersionLine is the text of kresc's --version.
func ClientVersionLine() string { return "kresc, version " + version.String() + "\n" }

// defaultDelay is that of top.
const defaultDelay = 2 * time.Second

// ParseClient reads the arguments of kresc. Its errors are UsageErrors.
func ParseClient(args []string) (ClientOptions, error) {
	var (
		o            ClientOptions
		count, delay string
	)
	flags := o.flags(&count, &delay)
	if err := parseFlags(flags, args); err != nil {
		return ClientOptions{}, err
	}
	if o.Help || o.Version {
		return ClientOptions{Help: o.Help, Version: o.Version}, nil
	}
	if err := o.positional(flags.Args()); err != nil {
		return ClientOptions{}, err
	}
	if err := o.refuse(flags); err != nil {
		return ClientOptions{}, err
	}
	if err := o.period(count, delay); err != nil {
		return ClientOptions{}, err
	}
	return o, nil
}

func (o *ClientOptions) flags(count, delay *string) *pflag.FlagSet {
	f := newFlags("kresc")
	f.StringArrayVarP(&o.Execute, "execute", "e", nil, "")
	f.BoolVarP(&o.All, "all", "a", false, "")
	f.BoolVarP(&o.JSON, "json", "j", false, "")
	f.StringVarP(count, "count", "n", "", "")
	f.StringVarP(delay, "delay", "d", "", "")
	f.BoolVarP(&o.Version, "version", "V", false, "")
	f.BoolVarP(&o.Help, "help", "h", false, "")
	return f
}

func (o *ClientOptions) positional(args []string) error {
	o.Task, args = task(args)
	o.Place = "."
	if len(args) > 1 {
		return usagef("one place is taken, '%s', and '%s' is one argument too many", args[0], args[1])
	}
	if len(args) > 0 && args[0] != "" {
		o.Place = args[0]
	}
	return nil
}

// task takes the words of a task from the beginning of the arguments.
func task(args []string) (Task, []string) {
	word := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch {
	case word(0) == "status":
		return StatusTask, args[1:]
	case word(0) == "top":
		return TopTask, args[1:]
	case word(0) == "reload":
		return ReloadTask, args[1:]
	case word(0) == "config" && word(1) == "check":
		return CheckTask, args[2:]
	case word(0) == "config" && word(1) == "diff":
		return DiffTask, args[2:]
	case word(0) == "config":
		return ConfigTask, args[1:]
	}
	return TalkTask, args
}

// refuse finds options that do not belong to the task.
func (o *ClientOptions) refuse(flags *pflag.FlagSet) error {
	if o.Task != TalkTask && len(o.Execute) > 0 {
		return usagef("option '-e' is for commands alone")
	}
	for _, name := range []string{"count", "delay"} {
		if flags.Changed(name) && o.Task != TopTask {
			return usagef("option '--%s' is for top", name)
		}
	}
	return nil
}

func (o *ClientOptions) period(count, delay string) error {
	o.Delay = defaultDelay
	if count != "" {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return usagef("option '-n' takes a positive number, not '%s'", count)
		}
		o.Count = n
	}
	if delay != "" {
		const least, most = 0.1, 3600
		s, err := strconv.ParseFloat(delay, 64)
		if err != nil || !(s >= least && s <= most) {
			return usagef("option '-d' takes seconds from %v to %v, not '%s'", least, most, delay)
		}
		o.Delay = time.Duration(s * float64(time.Second))
	}
	return nil
}
