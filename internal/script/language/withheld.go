package language

import (
	"os"
	"strings"

	"kresd/internal/memfile"
	"kresd/internal/script"
)

// openNamed opens a file. Where changes are withheld (script.Call.Withheld, as in
// kresd --check-config), a file to be written is one in memory alone.
func openNamed(c *script.Call, name, mode string) (*stream, error) {
	if flags, ok := openFlags(mode); ok && flags != os.O_RDONLY && c.Withheld("'%s' was not opened to write", name) {
		return inMemory()
	}
	f, err := openFile(name, mode)
	if flags, ok := openFlags(mode); ok && flags == os.O_RDONLY {
		f, err = c.VM().Opened(name, f, err)
	}
	if err != nil {
		return nil, err
	}
	return newStream(f), nil
}

// inMemory is a file that nobody else sees and that ends with the process.
func inMemory() (*stream, error) {
	f, err := memfile.New("memory")
	if err != nil {
		return nil, err
	}
	return newStream(f), nil
}

// unmadeName is what os.tmpname returns where changes are withheld: no file is made.
func unmadeName() string { return strings.TrimRight(os.TempDir(), "/") + "/lua_withheld" }
