package bindings

import (
	"math"
	"time"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// shownByDefault is how many servers are shown to who does not say.
const shownByDefault = 100

func upstreamsFunc(d *Daemon) script.Func {
	return script.Func{
		Name: "upstreams", Args: "[n]", Max: 1,
		Fn: func(c *script.Call) error {
			n := shownByDefault
			if !c.IsNil(1) {
				v := c.Number(1)
				if !(v >= 0) || v != math.Trunc(v) && !math.IsInf(v, 0) {
					c.ArgError(1, "a whole number of servers expected")
				}
				n = int(min(v, limits.ServersShown))
			}
			t := &luavalue.Table{}
			for _, u := range d.Process.Upstreams(n) {
				t.Add(u.Addr, u.table())
			}
			return c.Return(t)
		},
	}
}

func (u *Upstream) table() *luavalue.Table {
	t := &luavalue.Table{}
	if u.RTT > 0 {
		t.Add("rtt", float64(u.RTT.Microseconds())/1000)
	}
	t.Add("timeouts", float64(u.Timeouts)).Add("dead", u.Dead).
		Add("edns", u.EDNS).Add("0x20", u.Case).Add("tcp", u.NeedsTCP).Add("no_tcp", u.NoTCP).Add("tls", u.TLS).Add("age", seconds(u.Age))
	until := &luavalue.Table{}
	for what, left := range u.Until {
		if left > 0 {
			until.Add(what, seconds(left))
		}
	}
	if until.Sort(); len(until.Pairs) > 0 {
		t.Add("until", until)
	}
	return t
}

// seconds are those of d, to the millisecond.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
