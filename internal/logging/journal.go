package logging

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// journalSocket is where the journal takes what services write.
const journalSocket = "/run/systemd/journal/stdout"

// ToJournal says whether f is a stream that systemd connected to the
// journal: JOURNAL_STREAM holds the device and inode number of that socket.
// The comparison matters, because children whose output goes elsewhere inherit
// the variable too. Where standard output and error have streams of their own the
// variable names that of the error, and the other is known by where it leads.
func ToJournal(f *os.File, getenv func(string) string) bool {
	want := getenv("JOURNAL_STREAM")
	if want == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && want == fmt.Sprintf("%d:%d", st.Dev, st.Ino) || leadsTo(f, journalSocket)
}

// leadsTo tells whether f is a connection to the UNIX socket of that name.
func leadsTo(f *os.File, name string) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	leads := false
	_ = raw.Control(func(fd uintptr) {
		peer, err := unix.Getpeername(int(fd))
		at, local := peer.(*unix.SockaddrUnix)
		leads = err == nil && local && at.Name == name
	})
	return leads
}
