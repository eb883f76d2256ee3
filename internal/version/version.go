// Package version says which version of the program this is: the number of the
// release in the file VERSION, and the commit it was built from where the linker
// was told (make build does). It is what `kresd -V` and package_version() print.
//
// It knows nothing of compatibility: the cache and the control sockets carry
// numbers of their own.
package version

import (
	_ "embed" // for VERSION
	"strings"
)

//go:embed VERSION
var release string

// build is set by the linker, -X kresd/internal/version.build=g1a2b3c4, and is
// never written at run time.
var build string

// String returns the version, "0.1.0" or "0.1.0+g1a2b3c4".
func String() string {
	v := strings.TrimSpace(release)
	if build != "" {
		v += "+" + build
	}
	return v
}
