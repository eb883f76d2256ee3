package worker

import (
	"fmt"
	"os"
	"time"

	"kresd/internal/bindings"
	"kresd/internal/selection"
	"kresd/internal/servertable"
)

// shareServers makes what is known about servers common to all workers in the
// run directory, in a file there. Without the file each worker learns alone.
func (w *Worker) shareServers() {
	log := w.log.Group("select")
	table, err := servertable.Open(".", w.clock, func(line string) { log.Warn(line) })
	if err != nil {
		log.Warn(fmt.Sprintf("what is known about servers is not shared with other workers: %v", err))
		return
	}
	// It stays mapped until the process ends: some question may still be on its way.
	w.servers.Use(selection.NewShared(table, w.clock))
	w.driver.Share(table)
}

// handOverServers gives the table's file to the user that the group runs as from
// now on, so that other groups of that user share it.
func handOverServers(uid int) { _ = os.Lchown(servertable.Name, uid, -1) }

// Upstreams implements bindings.Process.
func (p process) Upstreams(n int) (list []bindings.Upstream) {
	for _, k := range p.servers.Latest(n) {
		list = append(list, bindings.Upstream{
			Addr: fmt.Sprintf("%s@%d", k.Addr.Addr(), k.Addr.Port()),
			RTT:  k.SRTT, Timeouts: int(k.Timeouts), Dead: k.Dead,
			EDNS: k.Cannot&selection.NoEDNS == 0, Case: k.Cannot&selection.NoCase == 0,
			NeedsTCP: k.Cannot&selection.NeedTCP != 0, NoTCP: k.Cannot&selection.NoTCP != 0, TLS: k.Encrypts(),
			Age: k.Age(), Until: map[string]time.Duration{
				"dead": k.DeadFor(), "edns": k.CannotFor(selection.NoEDNS), "0x20": k.CannotFor(selection.NoCase),
				"tcp": k.CannotFor(selection.NeedTCP), "no_tcp": k.CannotFor(selection.NoTCP), "no_tls": k.CannotFor(selection.NoTLS),
			},
		})
	}
	return list
}
