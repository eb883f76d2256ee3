package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"kresd/internal/cli"
)

// An image is a program's file at one moment: another file of the same name is another
// image.
type image struct {
	dev, ino uint64
	size     int64
	changed  time.Time
}

// imageOf looks at a file.
func imageOf(path string) (image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return image{}, err
	}
	i := image{size: info.Size(), changed: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		i.dev, i.ino = st.Dev, st.Ino
	}
	return i, nil
}

// replaced tells whether the program's file is another than the one that runs here,
// which the system keeps for as long.
func replaced(program string) bool {
	running, err := imageOf(Self)
	if err != nil || program == "" {
		return false
	}
	there, err := imageOf(program)
	return err == nil && there != running
}

// layout is that of handedOver (upgrade.go). A program takes a group over from one whose
// layout is the same.
const layout = "group layout 1"

// GroupVar names the environment variable with the descriptor of a group that is handed
// over, or the word "layout", which asks a program for the layout that it takes.
const GroupVar = "KRESD_GROUP"

// VersionText is what a program of ours says of its version, and, asked for it by
// GroupVar, of the groups that it can take over.
func VersionText() string {
	if os.Getenv(GroupVar) != "layout" {
		return cli.VersionLine()
	}
	return cli.VersionLine() + layout + "\n"
}

// takesOver says why a program cannot take over a group that runs.
func takesOver(program string) error {
	ctx, cancel := context.WithTimeout(context.Background(), versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Env = append(os.Environ(), GroupVar+"=layout")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("it has not said its version within %v", versionTime)
	case err == nil && !slices.Contains(lines[1:], layout):
		err = errors.New("it is of a version that cannot take over a group which runs; restart the service")
	}
	if err != nil {
		return fmt.Errorf("the program '%s' was replaced by one that does not take its place: %w", program, err)
	}
	return nil
}
