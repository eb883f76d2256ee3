package systemd

import (
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
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

// WatchdogInterval is how often Alive is to be called, half the time after
// which the manager loses patience; 0 means never.
func (n *Notifier) WatchdogInterval() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog / 2
}

// Ready says that everything is set up.
func (n *Notifier) Ready() { n.say(daemon.SdNotifyReady) }

// Stopping says that the process is ending.
func (n *Notifier) Stopping() { n.say(daemon.SdNotifyStopping) }

// Alive says that the process does its work. It is to be called from the
// place whose being stuck means that the process is.
func (n *Notifier) Alive() { n.say(daemon.SdNotifyWatchdog) }

// Status shows a line of text beside the service.
func (n *Notifier) Status(line string) {
	n.say("STATUS=" + strings.ReplaceAll(line, "\n", " "))
}

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
