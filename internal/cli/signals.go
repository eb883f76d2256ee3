package cli

import (
	"os"
	"syscall"
)

// Signals are those that a worker and a supervisor take: SIGTERM, SIGINT and
// SIGQUIT are the wish to end, SIGHUP to begin anew. Who sets GOTRACEBACK asks for
// the stacks of a process that seems stuck, so that SIGQUIT is left to the Go
// runtime, which writes them and ends the process.
func Signals(getenv func(string) string) []os.Signal {
	taken := []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}
	if getenv("GOTRACEBACK") == "" {
		taken = append(taken, syscall.SIGQUIT)
	}
	return taken
}
