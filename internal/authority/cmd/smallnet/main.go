// Command smallnet is what `make run` runs: it starts kresd so that the first
// dig works anywhere. Where a root server answers within a second kresd resolves
// from the Internet; where none does, this process is one, from the zones in
// testdata/zones.
//
// It is a demonstration and no supervisor: it starts kresd, tells on the screen
// how to query it, hands on the signal that ends it, and ends with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// grace is how long kresd may take to drain before it is killed.
const grace = 7 * time.Second

// options are the flags, as given by scripts/run.sh.
type options struct {
	kresd, rundir, zones, addr string
	port                       uint
	workers                    int
	roots                      string
	small                      bool // no flag: it is the small Internet that kresd resolves from
}

func main() {
	var o options
	flag.StringVar(&o.kresd, "kresd", "bin/kresd", "the resolver's binary")
	flag.StringVar(&o.rundir, "rundir", "run", "run directory")
	flag.StringVar(&o.zones, "zones", "testdata/zones", "zones of the small Internet")
	flag.StringVar(&o.addr, "addr", "127.0.0.1", "address to listen on")
	flag.UintVar(&o.port, "port", 5353, "port to listen on")
	flag.IntVar(&o.workers, "workers", 2, "number of workers")
	flag.StringVar(&o.roots, "roots", os.Getenv("KRESD_DEMO_ROOTS"), "root servers to look for, ADDR:PORT,… instead of the real ones; 'none' does not look")
	flag.Parse()
	status, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

// run prepares, starts kresd and returns its exit status.
func run(o options) (int, error) {
	if err := prepare(o); err != nil {
		return 0, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := os.Environ()
	config := internetConfig
	if !probe(ctx, rootServers(o.roots), time.Second) {
		fmt.Println("run: no root server answered within a second; starting a small Internet of our own on this machine")
		small, anchor, err := start(o.zones)
		if err != nil {
			return 0, err
		}
		defer small.Close()
		config = smallConfig(small.Roots(), anchor)
		o.small = true
		env = append(env, "KRESD_UPSTREAM_PORT="+strconv.Itoa(int(small.Port())))
	}
	if ctx.Err() != nil {
		return 0, nil
	}
	if err := os.WriteFile(filepath.Join(o.rundir, configName), []byte(config), 0o600); err != nil {
		return 0, err
	}
	return resolve(ctx, o, env)
}

// prepare makes the run directory and looks whether the port is free: kresd
// shares ports with other groups of the same user, which here would be a trap.
func prepare(o options) error {
	if o.port == 0 || o.port > 65535 || o.workers < 1 {
		return fmt.Errorf("PORT must be 1 to 65535 and WORKERS at least 1, not %d and %d", o.port, o.workers)
	}
	if err := os.MkdirAll(o.rundir, 0o700); err != nil {
		return err
	}
	at := endpoint(o)
	udp, err := net.ListenPacket("udp", at)
	if err == nil {
		defer udp.Close()
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", at); err == nil {
			return tcp.Close()
		}
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d of %s is taken by another program; try: make run PORT=%d", o.port, o.addr, o.port%65000+1000)
	}
	return err
}

func endpoint(o options) string { return net.JoinHostPort(o.addr, strconv.Itoa(int(o.port))) }

// resolve runs kresd until it ends or ctx does.
func resolve(ctx context.Context, o options, env []string) (int, error) {
	started := time.Now()
	cmd := exec.CommandContext(ctx, o.kresd, "-f", strconv.Itoa(o.workers), "-a", o.addr+"@"+strconv.Itoa(int(o.port)), "-c", configName, o.rundir)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	// Not in the terminal's group: Ctrl-C would reach kresd twice, from the
	// terminal and from here, and a second signal means to end at once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended, gone := context.WithCancel(ctx)
	told := tell(ended, o, started)
	err := cmd.Wait()
	gone()
	<-told
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ctx.Err() == nil {
			return max(exit.ExitCode(), 1), nil
		}
		return max(exit.ExitCode(), 0), nil
	}
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return 0, err
}

// rootServers reads the list given for tests, or returns the real ones.
func rootServers(list string) []string {
	switch list {
	case "":
		return realRoots()
	case "none":
		return nil
	}
	return strings.Split(list, ",")
}
