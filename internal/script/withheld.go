package script

import (
	"fmt"
	"os"
	"strings"

	lua "github.com/Shopify/go-lua"
	"golang.org/x/sys/unix"

	"kresd/internal/script/machine"
)

// What a machine does whose Options.Withhold is set, in place of what code wants.

// withheld tells whether something must not happen, and says so to whoever keeps the
// machine from it.
func (c *Call) withheld(format string, args ...any) bool {
	if c.vm.opts.Withhold == nil {
		return false
	}
	c.vm.opts.Withhold(c.placeOfUser(), fmt.Sprintf(format, args...))
	return true
}

// placeOfUser is the place, "file:line: ", of the innermost code that is no library's.
func (c *Call) placeOfUser() string {
	for level := 0; ; level++ {
		f, ok := lua.Stack(c.l, level)
		if !ok {
			return c.Position()
		}
		if d := machine.FrameInfo(c.l, "Sl", f); d.CurrentLine > 0 && strings.HasPrefix(d.Source, "@") && !c.vm.libraryTexts[d.Source] {
			return machine.Located(d, true)
		}
	}
}

// Withheld is for libraries that change something outside of the process, or ask
// somebody outside. True: do nothing, and return what success would.
func (c *Call) Withheld(format string, args ...any) bool { return c.withheld(format, args...) }

// openNamed opens a file, or, in place of one that would be written, nothing but
// memory.
func (c *Call) openNamed(name, mode string) (*stream, error) {
	if flags, ok := openFlags(mode); ok && flags != os.O_RDONLY && c.withheld("'%s' was not opened to write", name) {
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
