package network

import (
	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/settings"
)

// padding is net.tls_padding: it tells the scheme of padding, or sets it.
func padding(d *Host, c *script.Call) error {
	block := &d.Settings.Padding
	if c.NArgs() == 0 {
		switch n := block.Load(); n {
		case settings.PaddingScheme, 0:
			return c.Return(n != 0)
		default:
			return c.Return(float64(n))
		}
	}
	block.Store(paddingBlock(c))
	return c.Return(true)
}

// paddingBlock reads the argument of net.tls_padding. A block of one octet is no
// padding either.
func paddingBlock(c *script.Call) int32 {
	switch c.Type(1) {
	case "boolean":
		if c.Bool(1) {
			return settings.PaddingScheme
		}
		return 0
	case "number":
		if n := c.Int(1, 0, limits.MaxPaddingBlock); n > 1 {
			return int32(n)
		}
		return 0
	}
	c.TypeError(1, "true, false or a number")
	return 0
}
