//go:build profile

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"kresd/internal/safe"
)

// A program built with the tag profile, as scripts/profile.sh does, writes where its
// processes spend their time: each into files of a third of a second in the directory that
// KRESD_PROFILE names, because workers may end at any moment, and some workloads are over
// within a second.
func init() {
	dir := os.Getenv("KRESD_PROFILE")
	if dir == "" {
		return
	}
	safe.Go("profile", nil, func() {
		for n := 0; ; n++ {
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d-%d.pprof", os.Getpid(), n)))
			if err == nil {
				err = pprof.StartCPUProfile(f)
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "kresd: profile: %v\n", err)
				return
			}
			time.Sleep(300 * time.Millisecond)
			pprof.StopCPUProfile()
			f.Close()
		}
	})
}
