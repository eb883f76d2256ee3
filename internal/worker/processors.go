package worker

import "runtime"

// twoProcessors lets Go code run on two threads even where the process may use
// one processor only. With one, whoever waits inside a system call (the
// cache's writer in a commit, a listener for datagrams) keeps all others from
// running until Go's monitor notices, and to notice it wakes every twenty
// microseconds; the kernel changes between two threads at once.
func twoProcessors(getenv func(string) string) {
	if getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
}
