package systemd

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// A Notifier tells the service manager how this process is. The zero value
// and nil are those of a process that nobody manages: they say nothing.
type Notifier struct {
	active   bool
	watchdog time.Duration
}

// NewNotifier looks into the environment for who wants to be told.
func NewNotifier() *Notifier {
	n := &Notifier{active: os.Getenv("NOTIFY_SOCKET") != ""}
	if n.active {
		// A malformed WATCHDOG_USEC is that of a manager that will not wait
		// for us either.
		n.watchdog, _ = daemon.SdWatchdogEnabled(false)
	}
	return n
}

// WatchdogInterval is how often Alive is to be called at least, half the time after
// which the manager loses patience; 0 means never.
func (n *Notifier) WatchdogInterval() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog / 2
}

// Ready says that everything is set up, or again so after Reloading, with a line of
// text for Status.
func (n *Notifier) Ready(status string) { n.say(daemon.SdNotifyReady + "\n" + statusLine(status)) }

// Reloading says that the configuration is read again, until Ready is said. A
// manager compares the moment with that at which it asked for it.
func (n *Notifier) Reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // cannot fail for this clock
	n.say(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// Stopping says that the process is ending.
func (n *Notifier) Stopping() { n.say(daemon.SdNotifyStopping) }

// Alive says that the process does its work. It is to be called from the
// place whose being stuck means that the process is.
func (n *Notifier) Alive() { n.say(daemon.SdNotifyWatchdog) }

// Status shows a line of text beside the service.
func (n *Notifier) Status(line string) { n.say(statusLine(line)) }

func statusLine(line string) string { return "STATUS=" + strings.ReplaceAll(line, "\n", " ") }

// keptName is the name under which the manager keeps what Keep gives it.
const keptName = "configuration"

// Keep leaves a file with the manager, in the place of one that was left before: should
// this process die, the next one gets it (ManagerSockets). A manager keeps it only where
// the unit says so (FileDescriptorStoreMax=).
func (n *Notifier) Keep(f *os.File) {
	if n == nil || !n.active {
		return
	}
	n.Forget()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	manager := &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}
	_ = unix.Sendmsg(fd, []byte("FDSTORE=1\nFDNAME="+keptName), unix.UnixRights(int(f.Fd())), manager, 0)
}

// Forget has the manager drop what Keep has left.
func (n *Notifier) Forget() { n.say("FDSTOREREMOVE=1\nFDNAME=" + keptName) }

// Managed tells whether there is a manager.
func (n *Notifier) Managed() bool { return n != nil && n.active }

// say ignores errors: a manager that cannot be told will notice in its own
// time, and a resolver does not stop for it.
func (n *Notifier) say(state string) {
	if n != nil && n.active {
		_, _ = daemon.SdNotify(false, state)
	}
}

// ChildEnv is env without the variables that are meant for this process alone.
func ChildEnv(env []string) []string {
	kept := make([]string, 0, len(env))
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES":
		default:
			kept = append(kept, e)
		}
	}
	return kept
}
