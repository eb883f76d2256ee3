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
	"kresd/internal/limits"
)

// A fileState tells a file from others that have its name at other times.
type fileState struct {
	dev, ino uint64
	size     int64
	changed  time.Time
}

// fileStateOf looks at a file.
func fileStateOf(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	f := fileState{size: info.Size(), changed: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.dev, f.ino = st.Dev, st.Ino
	}
	return f, nil
}

// replaced tells whether the program's file is another than the one that runs here,
// which the system keeps for as long.
func replaced(program string) bool {
	running, err := fileStateOf(self)
	if err != nil || program == "" {
		return false
	}
	there, err := fileStateOf(program)
	return err == nil && there != running
}

// Layouts are those of handedOver (upgrade.go) that this program takes over; layout is the
// one that it leaves. A group of layout 1 has a worker in every slot.
const (
	layout  = "group layout 2"
	layouts = "group layout 1\n" + layout + "\n"
)

// GroupVar names the environment variable with the descriptor of a group that is handed
// over, or the word "layout", which asks a program for the layouts that it takes.
const GroupVar = "KRESD_GROUP"

// obstacle begins the line by which a program says, asked for layouts, why it takes over
// no group.
const obstacle = "takes over no group: "

// VersionText is what a program of ours says of its version, and, asked for it by
// GroupVar, of the groups that it can take over; find tells whether there is a program for
// their workers.
func VersionText(find func() (*Program, error)) string {
	if os.Getenv(GroupVar) != "layout" {
		return cli.VersionLine()
	}
	p, err := find()
	if err != nil {
		return cli.VersionLine() + obstacle + err.Error() + "\n"
	}
	p.close()
	return cli.VersionLine() + layouts
}

// takesOver says why a program cannot take over a group that runs.
func takesOver(program string) error {
	const patience = 2 * limits.VersionTime // it may ask another in turn
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Env = append(os.Environ(), GroupVar+"=layout")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, obstacle) })
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("it has not said its version within %v", patience)
	case err == nil && at >= 0:
		err = errors.New(strings.TrimPrefix(lines[at], obstacle) + halfReplaced)
	case err == nil && !slices.Contains(lines[1:], layout):
		err = errors.New("it is of a version that cannot take over a group which runs; restart the service")
	}
	if err != nil {
		return fmt.Errorf("the program '%s' was replaced by one that does not take its place: %w", program, err)
	}
	return nil
}

// halfReplaced follows what is wrong where one of two programs was replaced.
const halfReplaced = "; the workers stay of the version that runs: install kresd and kresd-supervisor of one version, both, and reload again"
