package ipc

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// EnvCrash, set to anything, says that a worker finds the writing end of a pipe
// beside its socket pair, for the last words of the Go runtime: the supervisor
// is to tell a memory fault from a program that ends with the same status.
const EnvCrash = "KRESD_CRASH"

const crashFD = linkFD + 1

// CrashPipe makes the pipe: the end that the supervisor reads with LastWords, and
// the file to hand to the worker as the second of its extra files.
func CrashPipe() (read int, write *os.File, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, nil, os.NewSyscallError("pipe2", err)
	}
	return p[0], os.NewFile(uintptr(p[1]), "crash"), nil
}

// LastWords returns what a process that has ended wrote when it crashed, "" if
// it did not, and closes the pipe.
func LastWords(read int) string {
	defer unix.Close(read)
	buf := make([]byte, limits.LastWords)
	n, _ := unix.Read(read, buf)
	return string(buf[:max(n, 0)])
}

// takeCrashPipe has the runtime write there. Without a reader, or with a full
// pipe, its words are lost and nothing waits.
func takeCrashPipe() {
	if os.Getenv(EnvCrash) == "" {
		return
	}
	os.Unsetenv(EnvCrash)
	unix.CloseOnExec(crashFD)
	if unix.SetNonblock(crashFD, true) != nil {
		return
	}
	f := os.NewFile(crashFD, "crash")
	defer f.Close()
	// It goes to standard error in any case; only the supervisor knows less.
	_ = debug.SetCrashOutput(f, debug.CrashOptions{})
}
