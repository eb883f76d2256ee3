package socket

import (
	"context"
	"net"
	"strings"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// toIP is socket.dns.toip: the first address of a name, and all that is known.
func toIP(c *script.Call) error {
	name := c.Text(1)
	list, err := script.Outside(c, func(ctx context.Context) ([]string, error) {
		ctx, end := context.WithTimeout(ctx, limits.LuaLookupTime)
		defer end()
		return net.DefaultResolver.LookupHost(ctx, name)
	})
	if err != nil || len(list) == 0 {
		return failed(c, err)
	}
	return c.Return(list[0], (&luavalue.Table{}).Add("name", name).Add("alias", []any{}).Add("ip", list))
}

// toName is socket.dns.tohostname.
func toName(c *script.Call) error {
	address := c.Text(1)
	list, err := script.Outside(c, func(ctx context.Context) ([]string, error) {
		ctx, end := context.WithTimeout(ctx, limits.LuaLookupTime)
		defer end()
		return net.DefaultResolver.LookupAddr(ctx, address)
	})
	if err != nil || len(list) == 0 {
		return failed(c, err)
	}
	return c.Return(strings.TrimSuffix(list[0], "."), (&luavalue.Table{}).Add("name", list[0]).Add("alias", []any{}).Add("ip", []string{address}))
}
