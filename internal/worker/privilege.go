package worker

import (
	"net/netip"
	"os"

	"kresd/internal/listen"
	"kresd/internal/privilege"
)

// firstFreePort is the first that everybody may bind.
const firstFreePort = 1024

// renounce gives up privileges that nothing needs any more: the addresses are bound.
// Root that has not become another user keeps what it takes to do so on a console. With
// GOTRACEBACK=crash whoever started the process wants its image.
func (w *Worker) renounce() {
	if w.o.Renounce == nil {
		return
	}
	var keep []privilege.Right
	switch {
	case os.Geteuid() == 0:
		keep = privilege.ToBecomeAnother()
	case w.server.Any(bindsLater):
		keep = []privilege.Right{privilege.Bind}
	}
	if err := w.o.Renounce(w.o.Getenv("GOTRACEBACK") == "crash", keep...); err != nil {
		w.log.Warn(err.Error())
	}
}

// bind has the supervisor bind what this process may not; nil: nobody does. Root may, and
// what it may not any more once it is another user it is not to have back.
func (o *Options) bind() func(fd int, addr netip.AddrPort) error {
	if o.Link == nil || os.Geteuid() == 0 {
		return nil
	}
	return o.Link.Bind
}

// bindLater lists the addresses that are to be bound when their interface comes.
func (w *Worker) bindLater() (list []string) {
	for _, e := range w.server.Endpoints() {
		if bindsLater(e) {
			list = append(list, netip.AddrPortFrom(e.Addr.Addr().WithZone(""), e.Addr.Port()).String())
		}
	}
	return list
}

// became gives up what only root needs. While the worker starts that happens a little
// later.
func (w *Worker) became() {
	if w.started.Load() {
		w.renounce()
	}
}

// bindsLater tells whether an address has to be bound when its interface comes: others
// that this machine lacks are bound in advance.
func bindsLater(e listen.Endpoint) bool {
	return e.Awaited && e.Addr.Addr().IsLinkLocalUnicast() && e.Addr.Port() < firstFreePort
}

// rootWarning is what root is told that serves.
const rootWarning = "kresd serves as root, who may do more than answer questions: name an ordinary user by user('knot-resolver') in the configuration, behind net.listen() and before cache.size, or start kresd as that user"
