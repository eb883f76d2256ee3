// Package cgroup reads how much memory the system lets this process have, by the
// limits of the control groups that it is in (cgroups(7), version 1 and 2) and by the
// machine's own memory.
package cgroup

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// Memory is the least of the limits on memory in octets that hold for this process, and
// of the memory that the machine has. root is the system's tree of files (os.DirFS("/")).
// It fails when nothing of that can be read.
func Memory(root fs.FS) (octets int64, err error) {
	octets = math.MaxInt64
	if n, err := installed(root); err == nil {
		octets = n
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil && octets == math.MaxInt64 {
		return 0, err
	}
	for line := range strings.Lines(string(groups)) {
		octets = min(octets, ofGroup(root, strings.TrimSpace(line)))
	}
	if octets == math.MaxInt64 {
		return 0, fmt.Errorf("neither /proc/meminfo nor a control group tells of memory")
	}
	return octets, nil
}

// installed is the memory of the machine.
func installed(root fs.FS) (int64, error) {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, err
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if kib, ok := strings.CutPrefix(s.Text(), "MemTotal:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(kib, "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fs.ErrNotExist
}

// ofGroup is the least limit of the group that a line of /proc/self/cgroup names
// ("4:memory:/a/b" of version 1, "0::/a/b" of version 2), and of the groups above it.
func ofGroup(root fs.FS, line string) int64 {
	fields := strings.SplitN(line, ":", 3)
	if len(fields) != 3 {
		return math.MaxInt64
	}
	switch group := fields[2]; {
	case fields[0] == "0" && fields[1] == "":
		return min(least(root, "sys/fs/cgroup", group, "memory.max"), least(root, "sys/fs/cgroup/unified", group, "memory.max"))
	case strings.Contains(","+fields[1]+",", ",memory,"):
		return least(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes")
	}
	return math.MaxInt64
}

// least is the least limit in the files of that name from group up to the mount. A
// container may see its own group as the mount while the path is that of the host, so
// that what does not exist says nothing.
func least(root fs.FS, mount, group, name string) int64 {
	n := int64(math.MaxInt64)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		if text, err := fs.ReadFile(root, path.Join(mount, group, name)); err == nil {
			if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil { // else "max"
				n = min(n, limit)
			}
		}
		if group == "/" {
			return n
		}
	}
}
