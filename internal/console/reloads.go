package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"kresd/internal/limits"
	"kresd/internal/reload"
)

// Reloads are what a program may want to have done with the configuration.
type Reloads interface {
	// Ask asks for a reload and returns its number (package reload).
	Ask(ctx context.Context) (number int, err error)
	// State is how far reloads have come.
	State() *reload.State
	// ConfigCommand is a command whose value is the configuration that is in force.
	ConfigCommand() string
	// Defaults is what that value would be where nothing is configured.
	Defaults() (json.RawMessage, error)
	// OnDisk compares configuration files with what is in force.
	OnDisk() reload.OnDisk
	// Check tries the configuration and returns what is wrong with it.
	Check() []string
}

const errNoReloads = "this process has no configuration that could be loaded again"

// reload answers a request about reloads.
func (f *frames) reload(ctx context.Context, request byte, out io.Writer) error {
	r := f.s.reloads
	if r == nil {
		return respond(out, RespError, errNoReloads)
	}
	var answer any
	switch request {
	case ReqReload:
		ctx, cancel := context.WithTimeoutCause(ctx, limits.ConsoleRunTime, errors.New("the supervisor does not answer"))
		defer cancel()
		number, err := r.Ask(ctx)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err != nil {
			return respond(out, RespError, err.Error())
		}
		answer = number
	case ReqState:
		answer = r.State()
	case ReqOnDisk:
		answer = r.OnDisk()
	case ReqDefaults:
		defaults, err := r.Defaults()
		if err != nil {
			return respond(out, RespError, err.Error())
		}
		answer = defaults
	case ReqCheck:
		answer = reload.Report{Mistakes: r.Check()}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return respond(out, RespValue, string(text))
}
