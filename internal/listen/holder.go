package listen

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A Holder is a process that has a port.
type Holder struct {
	PID  int    // 0: one that this process's user does not see
	Name string // of the program; "" then
	Unit string // its unit of systemd; "" for none
	UID  int    // whose socket it is
	// Addr is what it is bound to, perhaps the wildcard address.
	Addr netip.AddrPort
}

// HolderOf finds who has an address, or the wildcard address, at its port, by UDP or as
// a listener by TCP. ok is false where nobody is found: the system does not show its
// sockets, or they are gone.
func HolderOf(addr netip.AddrPort) (h Holder, ok bool) {
	for _, list := range []string{"udp", "tcp", "udp6", "tcp6"} {
		f, err := os.Open("/proc/net/" + list)
		if err != nil {
			continue
		}
		found, inode, there := holderIn(f, addr, strings.HasPrefix(list, "tcp"))
		f.Close()
		if !there {
			continue
		}
		if found.identify(inode); found.PID != 0 {
			return found, true
		}
		h, ok = found, true
	}
	return h, ok
}

// listening is the state of a listener in /proc/net/tcp.
const listening = "0A"

// holderIn searches a list in the format of /proc/net/udp (see foreignIn). The tenth
// field is the number of the socket.
func holderIn(list io.Reader, addr netip.AddrPort, tcp bool) (h Holder, inode string, ok bool) {
	for sc := bufio.NewScanner(list); sc.Scan(); {
		f := strings.Fields(sc.Text())
		if len(f) < 10 || tcp && f[3] != listening {
			continue
		}
		at, known := procAddr(f[1])
		if !known || at.Port() != addr.Port() || !collide(at.Addr().Unmap(), addr.Addr().WithZone("")) {
			continue
		}
		uid, err := strconv.Atoi(f[7])
		if err != nil {
			continue
		}
		return Holder{Addr: at, UID: uid}, f[9], true
	}
	return h, "", false
}

// collide tells whether two sockets of one port are in each other's way. One for all
// IPv6 addresses may be for those of IPv4, too.
func collide(theirs, ours netip.Addr) bool {
	return theirs == ours || theirs.IsUnspecified() && (theirs.Is6() || ours.Is4()) || ours.IsUnspecified() && theirs.Is4() == ours.Is4()
}

// identify finds the process that has a socket among those that it may look at.
func (h *Holder) identify(inode string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if !has(dir, "socket:["+inode+"]") {
			continue
		}
		h.PID, _ = strconv.Atoi(filepath.Base(dir))
		comm, _ := os.ReadFile(dir + "/comm")
		h.Name = strings.TrimSpace(string(comm))
		groups, _ := os.ReadFile(dir + "/cgroup")
		h.Unit = unitIn(string(groups))
		return
	}
}

// has tells whether a process has a file open that the system calls by that name.
func has(dir, name string) bool {
	fds, _ := os.ReadDir(dir + "/fd")
	for _, fd := range fds {
		if target, err := os.Readlink(fmt.Sprintf("%s/fd/%s", dir, fd.Name())); err == nil && target == name {
			return true
		}
	}
	return false
}

// unitIn is the service in /proc/PID/cgroup: systemd calls the control group of a
// service by its name.
func unitIn(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		for part := range strings.SplitSeq(strings.TrimSpace(line), "/") {
			if strings.HasSuffix(part, ".service") {
				return part
			}
		}
	}
	return ""
}
