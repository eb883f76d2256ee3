// Package cqueues is the library cqueues for scripts: what lets coroutines wait.
package cqueues

import "kresd/internal/script"

// Libraries are cqueues and the libraries that belong to it.
func Libraries() []script.Library {
	return []script.Library{
		{Name: "cqueues.errno", Help: "numbers and texts of the system's errors", Open: openErrno},
	}
}
