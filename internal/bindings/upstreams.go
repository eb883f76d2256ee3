package bindings

import (
	"time"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// An Upstream is what is known of one address of other servers.
type Upstream struct {
	Addr string // address@port
	// RTT is the smoothed round-trip time; 0 when it never answered.
	RTT      time.Duration
	Timeouts int  // in a row
	Dead     bool // left alone for now
	EDNS     bool // not known to lack EDNS
	Case     bool // not known to destroy the letter case of questions
	OnlyTCP  bool // is asked over TCP
}

// shownByDefault is how many servers are shown to who does not say.
const shownByDefault = 100

func upstreamsFunc(d *Daemon) script.Func {
	return script.Func{
		Name: "upstreams", Args: "[n]", Max: 1,
		Help: "what is known of other servers, by address: rtt in milliseconds, timeouts in a row, dead, edns, 0x20, tcp; the latest 100 or n",
		Fn: func(c *script.Call) error {
			n := shownByDefault
			if !c.IsNil(1) {
				v := c.Number(1)
				if !(v >= 0) {
					c.ArgError(1, "a number of servers expected")
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
	return t.Add("timeouts", float64(u.Timeouts)).Add("dead", u.Dead).
		Add("edns", u.EDNS).Add("0x20", u.Case).Add("tcp", u.OnlyTCP)
}
