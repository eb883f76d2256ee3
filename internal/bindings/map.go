package bindings

import (
	"errors"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

var (
	errMapNested  = errors.New("map() cannot be used inside a mapped expression")
	errMapLoading = errors.New("map() cannot be used while the configuration loads: the other workers are not there yet")
)

func installMap(d *Daemon) {
	d.VM.Register(script.Func{
		Name: "map", Args: "expression", Min: 1, Max: 1,
		Fn: func(c *script.Call) error {
			expr := c.Text(1)
			if c.Within(script.Mapped) {
				return errMapNested
			}
			if c.Within(script.Config) {
				return errMapLoading
			}
			return relay(d, c, expr)
		},
	})
}

// relay waits for the group without keeping others from evaluating here, so two
// workers that map at the same time never wait for each other.
func relay(d *Daemon, c *script.Call, expr string) error {
	var (
		result *luavalue.Table
		err    error
		done   = make(chan struct{})
		ctx    = c.Context()
	)
	d.Group.Go("map", func() {
		defer close(done)
		result, err = d.Mapper.Map(ctx, expr)
	})
	if werr := c.Wait(done); werr != nil {
		return werr
	}
	if err != nil {
		return err
	}
	return c.Return(result)
}
