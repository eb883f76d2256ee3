// Package test starts the real kresd and judges it from outside: by its answers,
// its control sockets, its files and its processes. It imports nothing of the
// program; what it knows is the manual.
package test

import (
	"testing"

	"kresd/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m) }
