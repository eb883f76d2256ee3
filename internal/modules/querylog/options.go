package querylog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/wording"
)

// A which says of which questions lines are written.
type which uint8

const (
	all which = iota
	failed
	blocked
)

// options are what an operator wants.
type options struct {
	which   which
	sample  uint64 // one in so many of these
	clients bool   // who asked is written

	kind kind
	path string // of the file or the socket
}

// optionNames are the keys of the table that configures the module.
const optionNames = "which, sample, clients, and one of file, socket and journal"

// parse reads the table of a configuration.
func parse(value any) (o options, err error) {
	o.sample = 1
	t, ok := value.(*luavalue.Table)
	if !ok {
		return o, fmt.Errorf("querylog: a table expected, with %s", optionNames)
	}
	for _, p := range t.Pairs {
		name, _ := p.Key.(string)
		if err := o.set(name, p.Value); err != nil {
			return o, fmt.Errorf("querylog: %w", err)
		}
	}
	if o.kind == nowhere {
		return o, errors.New("querylog: where to? one of file = 'PATH', socket = 'PATH' and journal = true expected")
	}
	return o, nil
}

// set takes one option.
func (o *options) set(name string, value any) error {
	switch name {
	case "which":
		names := []string{all: "all", failed: "failed", blocked: "blocked"}
		text, _ := value.(string)
		i := slices.Index(names, text)
		if i < 0 {
			return fmt.Errorf("which is one of '%s'", strings.Join(names, "', '"))
		}
		o.which = which(i)
	case "sample":
		n, err := module.Whole(name, "a whole number from 1 to 1000000", 1, 1e6).Value(value)
		if err != nil {
			return fmt.Errorf("sample: %w", err)
		}
		o.sample = uint64(n)
	case "clients":
		on, err := module.Switch(name, "true or false").Value(value)
		if err != nil {
			return fmt.Errorf("clients: %w", err)
		}
		o.clients = on
	case "file", "socket", "journal":
		return o.setPlace(name, value)
	default:
		return fmt.Errorf("there is no option '%s'; there are %s", wording.Printable(name), optionNames)
	}
	return nil
}

// setPlace takes where lines go. That the place can be reached is seen at once, as far
// as that can be told without touching it.
func (o *options) setPlace(name string, value any) error {
	if o.kind != nowhere {
		return errors.New("one of file, socket and journal expected, not several")
	}
	if name == "journal" {
		if value != true {
			return errors.New("journal is true, or left out")
		}
		o.kind, o.path = journal, journalSocket
		return nil
	}
	path, _ := value.(string)
	if path == "" {
		return fmt.Errorf("%s: a path expected", name)
	}
	o.path = path
	if o.kind = file; name == "socket" {
		o.kind = socket
		if len(path) > maxSocketPath {
			return fmt.Errorf("socket: '%s' is longer than the %d octets that a socket's path may have", wording.Printable(path), maxSocketPath)
		}
		return nil
	}
	if err := unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("file: nothing can be written in '%s': %w", filepath.Dir(path), err)
	}
	return nil
}

// maxSocketPath is what the system takes.
const maxSocketPath = 107
