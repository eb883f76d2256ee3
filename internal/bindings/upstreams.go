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
	NeedsTCP bool // is asked over TCP, since nothing came over UDP
	NoTCP    bool // did not answer over TCP lately
	// Age is how long ago something was last learnt of it.
	Age time.Duration
	// Until is how much longer what it is known not to do counts, by the name of the
	// field; 0 and less: it does not.
	Until map[string]time.Duration
}

// shownByDefault is how many servers are shown to who does not say.
const shownByDefault = 100

func upstreamsFunc(d *Daemon) script.Func {
	return script.Func{
		Name: "upstreams", Args: "[n]", Max: 1,
		Help: "what is known of other servers, by address: rtt in milliseconds, timeouts in a row, dead, edns, 0x20, tcp (needs it), no_tcp, age and until (of each of these) in seconds; the latest 100 or n",
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
	t.Add("timeouts", float64(u.Timeouts)).Add("dead", u.Dead).
		Add("edns", u.EDNS).Add("0x20", u.Case).Add("tcp", u.NeedsTCP).Add("no_tcp", u.NoTCP).Add("age", seconds(u.Age))
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

// seconds has milliseconds.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
