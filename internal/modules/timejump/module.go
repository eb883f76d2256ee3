package timejump

import "kresd/internal/module"

// Module is the module detect_time_jump. It uses the clock, the log and the
// cache, which it clears.
func Module() module.Module {
	return module.Module{Name: "detect_time_jump", Open: open}
}

// open starts watching.
func open(h *module.Host) (*module.Instance, error) {
	w := &watch{host: h}
	w.checkpoint()
	w.arm()
	return &module.Instance{Close: w.close}, nil
}
