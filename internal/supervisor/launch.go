package supervisor

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kresd/internal/cli"
	"kresd/internal/inforce"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/privilege"
	"kresd/internal/reload"
	"kresd/internal/rundir"
	"kresd/internal/systemd"
)

// Launch is the life of a supervisor process after its command line was read:
// it prepares the run directory, or takes over a group that another image of this program
// has left, and runs the group. Workers execute what find finds, with args. It returns the
// exit status.
func Launch(program string, find func() (*Program, error), args []string, o cli.Options) int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, cli.Signals(os.Getenv)...)
	out, errOut := logging.NewRing(os.Stdout, 0), logging.NewRing(os.Stderr, 0)
	defer errOut.Close(limits.FlushTime)
	defer out.Close(limits.FlushTime)
	var warnings []string
	fail := func(err error) { cli.Complain(errOut, program, err) }

	if err := privilege.KeepFromChildren(); err != nil {
		warnings = append(warnings, fmt.Sprintf("the workers have privileges until they have bound their addresses: %v", err))
	}
	env := systemd.ChildEnv(os.Environ())
	c := Config{
		Find: find, Args: args, Env: env, Count: o.Forks,
		Program: own(),
		Signals: signals,
		Notify:  systemd.NewNotifier(),
		Fail:    func(line string) { fail(errors.New(line)) },
		Died:    rundir.Forget,

		Check: func(path string, files []string) []string {
			return reload.Checker{Path: path, Args: args, Env: env, Files: files}.Check()
		},
		Exec: func(more string) error {
			signal.Ignore(syscall.SIGHUP)
			defer signal.Notify(signals, cli.Signals(os.Getenv)...)
			out.Flush(limits.FlushTime)
			errOut.Flush(limits.FlushTime)
			if len(signals) > 0 {
				return errNotWhole // it is handled before
			}
			if err := privilege.HandOn(); err != nil {
				return err
			}
			return errors.Join(syscall.Exec(own(), os.Args, append(os.Environ(), more)), privilege.KeepFromChildren())
		},
	}
	if err := c.begin(o, &warnings); err != nil {
		fail(err)
		return 1
	}
	c.Log = logging.New(logOptions(o, out, errOut))
	for _, w := range warnings {
		c.Log.Warn(w)
	}
	return Run(c)
}

// begin takes over the group that another image of this program has left, or prepares
// one, and reads the environment.
func (c *Config) begin(o cli.Options, warnings *[]string) (err error) {
	c.taken, err = leftGroup() // before any program is started
	switch {
	case err != nil:
	case c.taken != nil:
		c.Sockets, err = c.taken.passed()
	default:
		if c.Workers, err = c.Find(); err == nil {
			err = c.prepare(o, warnings)
		}
	}
	if err != nil {
		return err
	}
	if c.StartTime, err = startTimeOf(os.Getenv(startTimeVar)); err != nil {
		return err
	}
	c.HangTime, err = hangTimeOf(os.Getenv(hangTimeVar))
	return err
}

// prepare takes what a supervisor that starts was given, and enters the run directory.
// One that goes on with a group is there.
func (c *Config) prepare(o cli.Options, warnings *[]string) (err error) {
	if c.Sockets, c.InForce, err = PassedSockets(o); err != nil {
		return err
	}
	c.takeLeft(&o, warnings)
	more, err := rundir.Prepare(o.RunDir, o.Configs)
	if *warnings = append(*warnings, more...); err != nil {
		return err
	}
	return OwnGroup()
}

// takeLeft looks at what a process that has died in the place of this one has left. What
// cannot be read is not in force.
func (c *Config) takeLeft(o *cli.Options, warnings *[]string) {
	if c.InForce == nil {
		return
	}
	conf, told := inforce.Take(c.InForce, inforce.ReadCode)
	*warnings = append(*warnings, told)
	if conf == nil {
		c.InForce.Close()
		c.InForce = nil
		return
	}
	o.Configs = nil // nobody reads them
}

// own is the path of this program, "" where it is not known.
func own() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

// PassedSockets collects the sockets of the service manager and of options -S and -T,
// one control socket at most. kept has the configuration of a process that has died in the
// place of this one (package inforce), nil for none.
func PassedSockets(o cli.Options) (sockets []systemd.Socket, kept *os.File, err error) {
	sockets, kept, err = systemd.ManagerSockets()
	if err != nil {
		return nil, nil, err
	}
	for _, fd := range o.FDs {
		s, err := systemd.OpenSocket(fd.Num, fd.Kind)
		if err != nil {
			return nil, nil, err
		}
		sockets = append(sockets, s)
	}
	var control []string
	for _, s := range sockets {
		if s.Kind == systemd.Control {
			control = append(control, strconv.Itoa(s.FD))
		}
	}
	if len(control) > 1 {
		return nil, nil, fmt.Errorf("inherited sockets %s are all named 'control'; one is the most", strings.Join(control, " and "))
	}
	return sockets, kept, nil
}

// startTimeVar names the environment variable that says how many seconds a worker may
// take to be ready while nobody serves in its place.
const startTimeVar = "KRESD_START_TIME"

// startTimeOf reads its value; 0 for none.
func startTimeOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s: '%s' is no whole number of seconds from 1 to %d", startTimeVar, text, math.MaxInt32)
	}
	return time.Duration(n) * time.Second, nil
}

// hangTimeVar names the environment variable that says for how many seconds a worker
// may be silent and do nothing before it is replaced; 0: for ever.
const hangTimeVar = "KRESD_HANG_TIME"

// hangTimeOf reads its value.
func hangTimeOf(text string) (time.Duration, error) {
	if text == "" {
		return limits.HangTime, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s: '%s' is no whole number of seconds from 0 to %d", hangTimeVar, text, math.MaxInt32)
	}
	return time.Duration(n) * time.Second, nil
}

func logOptions(o cli.Options, out, errOut *logging.Ring) logging.Options {
	lo := logging.Options{Out: out, Err: errOut, Format: o.LogFormat,
		Priority: logging.ToJournal(os.Stdout, os.Getenv), ErrPriority: logging.ToJournal(os.Stderr, os.Getenv)}
	if o.Verbose {
		lo.Level = logging.Debug
	}
	return lo
}
