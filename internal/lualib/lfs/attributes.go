package lfs

import (
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// attributes returns what look, stat or lstat, tells of a path; with links set, also where
// a symbolic link points to.
func attributes(c *script.Call, look func(path string, st *unix.Stat_t) error, links bool) error {
	path := c.String(1)
	t, err := script.Interruptible(c, nil, func() (*luavalue.Table, error) {
		var st unix.Stat_t
		if err := look(path, &st); err != nil {
			return nil, err
		}
		t := table(&st)
		if links && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			if target, err := os.Readlink(path); err == nil {
				t.Add("target", target)
			}
		}
		return t, nil
	})
	if err != nil {
		return failed(c, err, "cannot obtain information from file '"+path+"': ")
	}
	return c.Return(t)
}

func table(st *unix.Stat_t) *luavalue.Table {
	return (&luavalue.Table{}).
		Add("mode", kind(st.Mode)).Add("permissions", permissions(st.Mode)).
		Add("dev", float64(st.Dev)).Add("rdev", float64(st.Rdev)).Add("ino", float64(st.Ino)).Add("nlink", float64(st.Nlink)).
		Add("uid", float64(st.Uid)).Add("gid", float64(st.Gid)).
		Add("size", float64(st.Size)).Add("blocks", float64(st.Blocks)).Add("blksize", float64(st.Blksize)).
		Add("access", float64(st.Atim.Sec)).Add("modification", float64(st.Mtim.Sec)).Add("change", float64(st.Ctim.Sec))
}

func kind(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "link"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFIFO:
		return "named pipe"
	case unix.S_IFCHR:
		return "char device"
	case unix.S_IFBLK:
		return "block device"
	}
	return "other"
}

func permissions(mode uint32) string {
	b := []byte("rwxrwxrwx")
	for i := range b {
		if mode&(1<<(8-i)) == 0 {
			b[i] = '-'
		}
	}
	return string(b)
}
