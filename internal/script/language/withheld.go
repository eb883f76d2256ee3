package language

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// openNamed opens a file, or, in place of one that would be written, nothing but
// memory.
func openNamed(c *script.Call, name, mode string) (*stream, error) {
	if flags, ok := openFlags(mode); ok && flags != os.O_RDONLY && c.Withheld("'%s' was not opened to write", name) {
		return inMemory()
	}
	return openStream(name, mode)
}

// inMemory is a file that nobody else sees and that ends with the process.
func inMemory() (*stream, error) {
	fd, err := unix.MemfdCreate("lua", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return newStream(os.NewFile(uintptr(fd), "memory")), nil
}

// unsaid is a name for a file that is not made.
func unsaid() string { return strings.TrimRight(os.TempDir(), "/") + "/lua_withheld" }
