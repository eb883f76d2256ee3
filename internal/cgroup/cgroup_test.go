package cgroup

import (
	"os"
	"testing"
	"testing/fstest"
)

func tree(files ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fs[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fs
}

func TestTheLeastLimitHolds(t *testing.T) {
	const meminfo = "MemTotal:       2000 kB\nMemFree:        10 kB\n"
	for name, c := range map[string]struct {
		fs   fstest.MapFS
		want int64
	}{
		"only the machine":           {tree("proc/meminfo", meminfo), 2000 << 10},
		"version 2":                  {tree("proc/meminfo", meminfo, "proc/self/cgroup", "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max", "1000000\n"), 1000000},
		"version 2, the group above": {tree("proc/meminfo", meminfo, "proc/self/cgroup", "0::/a/b\n", "sys/fs/cgroup/a/memory.max", "1000000\n", "sys/fs/cgroup/a/b/memory.max", "max\n"), 1000000},
		"version 2 beside version 1": {tree("proc/meminfo", meminfo, "proc/self/cgroup", "4:memory:/x\n0::/\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1500000"), 1500000},
		"two controllers in one":     {tree("proc/meminfo", meminfo, "proc/self/cgroup", "4:cpu,memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1500000"), 1500000},
		"not of memory":              {tree("proc/meminfo", meminfo, "proc/self/cgroup", "4:cpu:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1500000"), 2000 << 10},
		"a container":                {tree("proc/meminfo", meminfo, "proc/self/cgroup", "4:memory:/docker/123\n", "sys/fs/cgroup/memory/memory.limit_in_bytes", "1400000"), 1400000},
		"no limit":                   {tree("proc/meminfo", meminfo, "proc/self/cgroup", "4:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712"), 2000 << 10},
		"nonsense":                   {tree("proc/meminfo", meminfo, "proc/self/cgroup", "x\n\n::\n0::/\n", "sys/fs/cgroup/memory.max", "many"), 2000 << 10},
	} {
		if got, err := Memory(c.fs); got != c.want || err != nil {
			t.Errorf("%s: %d %v, want %d", name, got, err, c.want)
		}
	}
	if got, err := Memory(tree()); err == nil {
		t.Errorf("nothing to read: %d", got)
	}
}

func TestThisMachineHasMemory(t *testing.T) {
	if got, err := Memory(os.DirFS("/")); got < 16<<20 || err != nil {
		t.Errorf("%d octets, %v", got, err)
	}
}
