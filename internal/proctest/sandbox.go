package proctest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sandboxEnv has, as JSON, the restrictions under which this process is to become
// the command behind its name.
const sandboxEnv = "KRESD_TEST_SANDBOX"

// Restrictions are what a unit takes from its service. The zero values take nothing.
type Restrictions struct {
	UID, GID       int
	Capabilities   []uintptr // that stay, of root's
	NoFile         uint64
	Umask          int
	Writable       []string // below a root that is only read
	Visible        []string // in directories that are emptied
	PrivateTmp     bool
	PrivateDevices bool
	ProtectHome    bool
	HidePID        bool
	NoExec         bool // memory that is written and executed
	Families       []uint32
	Syscalls       []uint32 // all others are refused with EPERM
}

// Sandbox plays systemd for a unit's [Service]: it returns the words to put before
// a command, which then runs under the unit's restrictions as the given user. The
// unit's cache directory and user are whatever the test says instead. Of the
// restrictions PrivateUsers=, ProtectClock= and ProtectHostname= come with the
// filter of system calls and the lost capabilities, and have nothing of their own
// here. It needs root.
func (u Unit) Sandbox(t testing.TB, uid, gid int, writable, visible []string) (under []string, env string) {
	t.Helper()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	r := Restrictions{
		UID: uid, GID: gid, Umask: 0o022, Writable: writable, Visible: visible,
		PrivateTmp: u.Is("Service.PrivateTmp", "yes"), PrivateDevices: u.Is("Service.PrivateDevices", "yes"),
		ProtectHome: u.Is("Service.ProtectHome", "yes"), HidePID: u.Is("Service.ProtectProc", "invisible"),
		NoExec:   u.Is("Service.MemoryDenyWriteExecute", "yes"),
		Families: families(t, u.Words("Service.RestrictAddressFamilies")),
	}
	lines := u["Service.SystemCallFilter"]
	if u.Is("Service.RestrictNamespaces", "yes") {
		lines = append(slices.Clone(lines), "~unshare setns")
	}
	r.Syscalls = filter(t, lines)
	for _, name := range u.Words("Service.AmbientCapabilities") {
		if name != "CAP_NET_BIND_SERVICE" {
			t.Fatalf("no number is known of %s", name)
		}
		r.Capabilities = append(r.Capabilities, unix.CAP_NET_BIND_SERVICE)
	}
	if text := u.Last("Service.LimitNOFILE"); text != "" {
		if r.NoFile, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatal(err)
		}
	}
	if text := u.Last("Service.UMask"); text != "" {
		mask, err := strconv.ParseInt(text, 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		r.Umask = int(mask)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return []string{self}, sandboxEnv + "=" + string(b)
}

// families are the numbers of address families.
func families(t testing.TB, names []string) (list []uint32) {
	t.Helper()
	known := map[string]uint32{"AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6, "AF_NETLINK": unix.AF_NETLINK}
	for _, name := range names {
		n, ok := known[name]
		if !ok {
			t.Fatalf("no number is known of %s", name)
		}
		list = append(list, n)
	}
	return list
}

// filter are the numbers of the system calls that lines of SystemCallFilter= leave, by
// systemd's own groups and this machine's headers.
func filter(t testing.TB, lines []string) (list []uint32) {
	t.Helper()
	if len(lines) == 0 {
		return nil
	}
	groups := map[string][]string{}
	group := ""
	for line := range strings.Lines(Run(t, "systemd-analyze", "syscall-filter")) {
		line, indented := strings.TrimRight(line, "\n"), strings.HasPrefix(line, " ")
		switch word := strings.TrimSpace(line); {
		case word == "" || word[0] == '#':
		case !indented:
			group = word
		default:
			groups[group] = append(groups[group], word)
		}
	}
	var names func(word string) []string
	names = func(word string) (list []string) {
		if word[0] != '@' {
			return []string{word}
		}
		for _, w := range groups[word] {
			list = append(list, names(w)...)
		}
		return list
	}
	allowed := map[string]bool{}
	for _, n := range names("@default") {
		allowed[n] = true
	}
	for _, line := range lines {
		rest, denied := strings.CutPrefix(line, "~")
		for _, word := range strings.Fields(rest) {
			for _, n := range names(word) {
				allowed[n] = !denied
			}
		}
	}
	cmd := exec.Command("gcc", "-E", "-dM", "-")
	cmd.Stdin = strings.NewReader("#include <asm/unistd.h>\n")
	headers, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#define __NR_(\w+) (\d+)$`).FindAllStringSubmatch(string(headers), -1) {
		if n, _ := strconv.Atoi(m[2]); allowed[m[1]] {
			list = append(list, uint32(n))
		}
	}
	if len(list) < 100 {
		t.Fatalf("only %d system calls are found of those that are left", len(list))
	}
	slices.Sort(list)
	return list
}

// enterSandbox is the life of a process that becomes a command under restrictions.
func enterSandbox(text string) {
	os.Unsetenv(sandboxEnv)
	runtime.LockOSThread()
	var r Restrictions
	err := json.Unmarshal([]byte(text), &r)
	if err == nil {
		err = r.enter()
	}
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "sandbox:", err)
	os.Exit(99)
}

func (r *Restrictions) enter() error {
	unix.Umask(r.Umask)
	if r.NoFile > 0 {
		var now unix.Rlimit
		_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &now)
		most := min(r.NoFile, now.Max)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("RLIMIT_NOFILE: %w", err)
		}
	}
	for _, step := range []func() error{r.mounts, r.privileges, r.filter} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// mounts gives the process a tree that it only reads, but for what is Writable.
func (r *Restrictions) mounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	kept := map[string]int{}
	for _, path := range append(slices.Clone(r.Writable), r.Visible...) {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		kept[path] = fd
	}
	if err := r.hide(); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(kept)) {
		if err := bindFD(kept[path], path); err != nil {
			return err
		}
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("a root that is only read: %w", err)
	}
	writable := slices.Clone(r.Writable)
	if r.PrivateTmp {
		writable = append(writable, "/tmp", "/var/tmp")
	}
	for _, path := range writable {
		if err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return fmt.Errorf("%s, to be written: %w", path, err)
		}
	}
	return nil
}

// hide empties the directories that the process is not to see.
func (r *Restrictions) hide() error {
	if r.HidePID {
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "hidepid=invisible"); err != nil {
			return fmt.Errorf("/proc: %w", err)
		}
	}
	if r.PrivateDevices {
		if err := devices("null", "zero", "full", "random", "urandom", "tty"); err != nil {
			return err
		}
	}
	var empty []string
	if r.PrivateTmp {
		empty = append(empty, "/tmp", "/var/tmp")
	}
	if r.ProtectHome {
		empty = append(empty, "/home", "/root")
	}
	for _, path := range empty {
		if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// devices makes /dev a directory with these only.
func devices(names ...string) error {
	kept := map[string]int{}
	for _, name := range names {
		fd, err := unix.Open("/dev/"+name, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("/dev/%s: %w", name, err)
		}
		kept[name] = fd
	}
	if err := unix.Mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("/dev: %w", err)
	}
	for name, fd := range kept {
		if err := bindFD(fd, "/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}

// bindFD mounts what a descriptor stands for at a path, which is made where it is
// not there.
func bindFD(fd int, path string) error {
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	} else if f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		f.Close()
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// privileges makes the thread another user's, with few capabilities and no way back.
func (r *Restrictions) privileges() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if !slices.Contains(r.Capabilities, c) {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL {
				return fmt.Errorf("bounding set: %w", err)
			}
		}
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	for _, call := range [][4]uintptr{{unix.SYS_SETGROUPS, 0, 0, 0}, {unix.SYS_SETRESGID, uintptr(r.GID), uintptr(r.GID), uintptr(r.GID)}, {unix.SYS_SETRESUID, uintptr(r.UID), uintptr(r.UID), uintptr(r.UID)}} {
		if _, _, e := unix.RawSyscall(call[0], call[1], call[2], call[3]); e != 0 {
			return fmt.Errorf("another user: %w", e)
		}
	}
	var data [2]unix.CapUserData
	for _, c := range r.Capabilities {
		data[0].Permitted |= 1 << c
	}
	data[0].Effective, data[0].Inheritable = data[0].Permitted, data[0].Permitted
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for _, c := range r.Capabilities {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0); err != nil {
			return fmt.Errorf("ambient capabilities: %w", err)
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// The offsets in struct seccomp_data, of the low half of an argument on machines of
// either byte order of those that this is run on.
const (
	callNumber    = 0
	firstArgument = 16
	thirdArgument = 32
)

// filter has the kernel refuse system calls.
func (r *Restrictions) filter() error {
	if len(r.Syscalls) == 0 {
		return nil
	}
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		and   = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
	)
	const allow, refuse = 0x7fff0000, 0x00050000 | uint32(unix.EPERM) // SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
	program := []unix.SockFilter{{Code: load, K: callNumber}}
	add := func(f ...unix.SockFilter) { program = append(program, f...) }
	if len(r.Families) > 0 {
		add(unix.SockFilter{Code: equal, K: unix.SYS_SOCKET, Jf: uint8(2 + 2*len(r.Families))}, unix.SockFilter{Code: load, K: firstArgument})
		for _, family := range r.Families {
			add(unix.SockFilter{Code: equal, K: family, Jf: 1}, unix.SockFilter{Code: ret, K: allow})
		}
		add(unix.SockFilter{Code: ret, K: refuse})
	}
	if r.NoExec {
		for call, bits := range map[uint32]uint32{unix.SYS_MMAP: unix.PROT_WRITE | unix.PROT_EXEC, unix.SYS_MPROTECT: unix.PROT_EXEC, unix.SYS_PKEY_MPROTECT: unix.PROT_EXEC} {
			add(unix.SockFilter{Code: equal, K: call, Jf: 5}, unix.SockFilter{Code: load, K: thirdArgument}, unix.SockFilter{Code: and, K: bits},
				unix.SockFilter{Code: equal, K: bits, Jf: 1}, unix.SockFilter{Code: ret, K: refuse}, unix.SockFilter{Code: ret, K: allow})
		}
	}
	for _, n := range r.Syscalls {
		add(unix.SockFilter{Code: equal, K: n, Jf: 1}, unix.SockFilter{Code: ret, K: allow})
	}
	add(unix.SockFilter{Code: ret, K: refuse})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, e := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog))); e != 0 {
		return fmt.Errorf("filter of system calls: %w", e)
	}
	return nil
}
