package supervisor

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// OwnGroup makes this process the leader of a process group of its own, so
// that "kill -- -PID" ends this group and no other. A process that leads one
// already stays there, and so does one in the foreground of a terminal: it
// would lose the keyboard, Ctrl-C included.
func OwnGroup() error {
	pgrp := unix.Getpgrp()
	if pgrp == os.Getpid() || pgrp == foreground() {
		return nil
	}
	err := unix.Setpgid(0, 0)
	if errors.Is(err, unix.EPERM) {
		return nil // the leader of a session leads its group too
	}
	return err
}

// foreground is the process group in the foreground of the controlling
// terminal, or 0.
func foreground() int {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 0
	}
	defer tty.Close()
	pgrp, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return pgrp
}
