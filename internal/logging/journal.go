package logging

import (
	"fmt"
	"os"
	"syscall"
)

// ToJournal says whether f is the stream that systemd connected to the
// journal: JOURNAL_STREAM holds the device and inode number of that socket.
// The comparison matters, because children whose output goes elsewhere inherit
// the variable too.
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
	return ok && want == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
