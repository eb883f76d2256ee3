package supervisor

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"kresd/internal/cli"
	"kresd/internal/inforce"
	"kresd/internal/ipc"
	"kresd/internal/logging"
	"kresd/internal/reload"
	"kresd/internal/systemd"
)

// The test binary plays these parts: the tests, a supervisor (roleCount set), the program
// kresd-supervisor (roleLaunch set), and as a child of these a worker and a check of the
// configuration. What a worker does, and a check finds, is read from files in its working
// directory, so that tests can change it while a group runs.
const (
	roleCount  = "SUPERVISOR_TEST_COUNT"
	roleLaunch = "SUPERVISOR_TEST_LAUNCH"
)

// roleReadyTime, roleStartTime and roleHangTime are the supervisor's ReadyTime, StartTime
// and HangTime, if not the usual.
const (
	roleReadyTime = "SUPERVISOR_TEST_READY_TIME"
	roleStartTime = "SUPERVISOR_TEST_START_TIME"
	roleHangTime  = "SUPERVISOR_TEST_HANG_TIME"
	roleProgram   = "SUPERVISOR_TEST_PROGRAM" // what a supervisor takes for its own file
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "--version":
		fmt.Print(VersionText(This))
		os.Exit(0)
	case len(os.Args) > 1 && os.Args[1] == "--check-config":
		os.Exit(playCheck())
	case os.Getenv(ipc.EnvWorker) != "":
		os.Exit(playWorker())
	case os.Getenv(roleLaunch) != "":
		os.Exit(playProgram())
	case os.Getenv(roleCount) != "":
		os.Exit(playSupervisor())
	}
	os.Exit(m.Run())
}

func playSupervisor() int {
	var count int
	fmt.Sscan(os.Getenv(roleCount), &count)
	readyTime, _ := time.ParseDuration(os.Getenv(roleReadyTime))
	startTime, _ := time.ParseDuration(os.Getenv(roleStartTime))
	hangTime, _ := time.ParseDuration(os.Getenv(roleHangTime))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := OwnGroup(); err != nil {
		fmt.Println("OwnGroup:", err)
	}
	taken, err := leftGroup()
	if err != nil {
		fmt.Println("left:", err)
	}
	return Run(Config{
		Program: os.Getenv(roleProgram), taken: taken,
		Exec: func(more string) error {
			return syscall.Exec(os.Getenv(roleProgram), os.Args, append(os.Environ(), more))
		},
		Check: func(program string, files []string) []string { return strings.Fields(told("mistakes")) },
		Find:  This, Args: []string{"worker"}, Env: systemd.ChildEnv(os.Environ()), Count: count,
		Signals: signals, Notify: systemd.NewNotifier(),
		Log:  logging.New(logging.Options{Out: os.Stdout}),
		Fail: func(line string) { fmt.Fprintln(os.Stderr, line) },
		Died: func(pid int) { fmt.Println("died", pid) },

		ReadyTime: readyTime, StartTime: startTime, HangTime: hangTime,
	})
}

// playProgram is the program from its command line on.
func playProgram() int {
	o, err := cli.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return Launch("kresd-supervisor", This, append([]string{"kresd"}, os.Args[1:]...), o)
}

// playCheck reports what is wrong, and to what question.
func playCheck() int {
	var report reload.Report
	for _, mistake := range strings.Fields(told("mistakes")) {
		report.Mistakes = append(report.Mistakes, fmt.Sprintf("%s in %s of %q", mistake, os.Getenv(reload.FilesVar), os.Args[1:]))
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return 1
	}
	return len(report.Mistakes)
}

// told is a line of a file in the working directory, "" without the file.
func told(name string) string {
	b, _ := os.ReadFile(name)
	return strings.TrimSpace(string(b))
}

// runs is what a worker runs: what it was given, or else a text, which it hands over.
func runs(link *ipc.Link, text string) string {
	if f := link.InForce(); f != nil {
		c, err := inforce.Read(f)
		if err != nil {
			return err.Error()
		}
		return c.Code["config"]
	}
	f, err := (&inforce.Configuration{Files: []string{"config"}, Code: map[string]string{"config": text}}).Keep()
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	link.Ran(f)
	return text
}

func memoryFault() { *(*int)(unsafe.Add(unsafe.Pointer(nil), 4096*len(os.Args))) = 1 }

func playWorker() int {
	link, err := ipc.FromEnv()
	if err != nil {
		fmt.Println("FromEnv:", err)
		return 9
	}
	say := func(format string, args ...any) {
		fmt.Printf("%d %d %s\n", link.ID(), os.Getpid(), fmt.Sprintf(format, args...))
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	say("start")
	if s := link.Suspect(); s != nil {
		say("suspect %d:%s", s.Deaths, s.Dir)
	}
	for _, p := range link.Passed() {
		socket, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", p.FD))
		say("passed %d:%s %s", p.Was, p.Kind, socket)
	}
	link.CacheDir("/cache")
	id := fmt.Sprint(link.ID())
	for told("hang") == id {
		select {
		case <-link.Drain():
			if told("stubborn") == id {
				say("stays")
				select {}
			}
			say("drain")
			return 0
		case <-link.Closed():
			return 0
		case <-time.After(5 * time.Millisecond):
		}
	}
	switch {
	case told("startfault") == id:
		os.Remove("startfault")
		memoryFault()
	case told("fatal") == id:
		link.Fatal("config:3: bad option")
		return 1
	case told("crash") == id:
		return 3
	case told("quit") == id:
		return 0
	}
	if text := told("config"); text != "" || link.InForce() != nil {
		say("runs %s", runs(link, text))
	}
	say("secret %x", sha256.Sum256(<-link.Secret()))
	link.Ready()
	say("ready")
	var beat <-chan time.Time
	every := link.WatchdogInterval()
	if every > 0 {
		beat = time.Tick(every)
	}
	for {
		select {
		case <-beat:
			switch told("mute") {
			case id: // it does nothing
			case id + " busy":
				for begun := time.Now(); time.Since(begun) < every; {
				}
			default:
				link.Alive()
			}
		case m := <-link.Roster():
			say("roster %v", m)
		case sig := <-signals:
			if sig == syscall.SIGTERM {
				return 0
			}
			if told("fault") == id {
				os.Remove("fault")
				memoryFault()
			}
			if told("exit") == id {
				os.Remove("exit")
				return 2 // as the Go runtime does
			}
			say("pong")
		case <-link.Drain():
			if told("stubborn") == id {
				select {}
			}
			say("drain")
			return 0
		case <-link.Closed():
			say("orphan")
			return 0
		}
	}
}
