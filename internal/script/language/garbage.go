package language

import (
	"runtime"

	"kresd/internal/script"
)

// garbageFuncs are what scripts ask of the collector. It is Go's, which runs by itself:
// what tunes Lua's is taken and changes nothing.
var garbageFuncs = []script.Func{
	{Name: "collectgarbage", Args: "[option[, value]]", Max: 2, Fn: baseCollectgarbage},
	{Name: "gcinfo", Max: 0, Fn: func(c *script.Call) error { return c.Return(float64(heapOctets() >> 10)) }},
}

func heapOctets() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func baseCollectgarbage(c *script.Call) error {
	switch option := c.OptString(1, "collect"); option {
	case "collect", "step":
		runtime.GC()
		if option == "step" {
			return c.Return(true)
		}
	case "count":
		return c.Return(float64(heapOctets()) / 1024)
	case "setpause", "setstepmul":
		return c.Return(200)
	case "stop", "restart":
	default:
		c.ArgError(1, "invalid option '%s'", option)
	}
	return c.Return(0)
}
