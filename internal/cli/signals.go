package cli

import (
	"os"
	"syscall"
)

// Signals are those that a worker and a supervisor handle: SIGTERM, SIGINT and SIGQUIT ask
// them to end, SIGHUP to reload. With GOTRACEBACK set SIGQUIT is left to the Go runtime,
// which writes the stacks of the process, for one that seems stuck, and ends it.
func Signals(getenv func(string) string) []os.Signal {
	taken := []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}
	if getenv("GOTRACEBACK") == "" {
		taken = append(taken, syscall.SIGQUIT)
	}
	return taken
}
