package worker

import (
	"os"
	"syscall"

	"kresd/internal/bindings"
	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/rundir"
	"kresd/internal/selection"
	"kresd/internal/upstream"
)

// process lets scripts see and end this process.
type process struct {
	link     *ipc.Link
	server   *listen.Server
	servers  *selection.Selector
	upstream *upstream.Exchanger
	counters *limits.Counters
	quit     func()
}

// ID implements bindings.Process.
func (p process) ID() int { return p.link.ID() }

// Count implements bindings.Process.
func (p process) Count() int { return p.link.Count() }

// PID implements bindings.Process.
func (p process) PID() int { return os.Getpid() }

// Quit implements bindings.Process.
func (p process) Quit() { p.quit() }

// BeforeUser implements bindings.Process.
func (p process) BeforeUser(uid int, gids []int) error {
	if err := rundir.UsableBy(uid, gids); err != nil {
		return err
	}
	if err := p.server.Open(); err != nil {
		return bindReason(err)
	}
	if os.Geteuid() != 0 || uid == 0 {
		return nil
	}
	handOverServers(uid)
	return rundir.HandOver(uid)
}

// Stats implements bindings.Process.
func (p process) Stats() []bindings.Counter {
	up, in := p.upstream.Stats(), p.server.Stats()
	out := []bindings.Counter{
		{Name: "udp", Value: float64(up.UDP)},
		{Name: "tcp", Value: float64(up.TCP)},
		{Name: "tls", Value: 0},
		{Name: "ipv4", Value: float64(up.IPv4)},
		{Name: "ipv6", Value: float64(up.IPv6)},
		{Name: "timeout", Value: float64(up.Timeout)},
		{Name: "concurrent", Value: float64(in.Waiting)},
		{Name: "queries", Value: float64(in.UDP + in.TCP)},
		{Name: "dropped", Value: float64(in.Ignored + in.Dropped)},
	}
	return append(append(out, suspicious(&up)...), usage()...)
}

// suspicious are the counters that rise when somebody forges answers, or a server
// is broken in a way that looks like it.
func suspicious(up *upstream.Stats) []bindings.Counter {
	return []bindings.Counter{
		{Name: "mismatched", Value: float64(up.NearMiss)},
		{Name: "caselost", Value: float64(up.CaseLost)},
		{Name: "cookielost", Value: float64(up.CookieLost)},
		{Name: "ignored", Value: float64(up.Ignored)},
		{Name: "icmp", Value: float64(up.ICMP)},
		{Name: "joined", Value: float64(up.Joined)},
	}
}

// Limits implements bindings.Process.
func (p process) Limits() (list []bindings.Limit) {
	limits.Each(func(id limits.ID) {
		list = append(list, bindings.Limit{Name: id.String(), Hits: p.counters.Get(id), Means: id.Means()})
	})
	return list
}

// usage is what this process has used, times in seconds, rss in bytes.
func usage() []bindings.Counter {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return nil
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return []bindings.Counter{
		{Name: "usertime", Value: seconds(r.Utime)},
		{Name: "systime", Value: seconds(r.Stime)},
		{Name: "pagefaults", Value: float64(r.Majflt)},
		{Name: "swaps", Value: float64(r.Nswap)},
		{Name: "csw", Value: float64(r.Nvcsw + r.Nivcsw)},
		{Name: "rss", Value: float64(r.Maxrss) * 1024},
	}
}
