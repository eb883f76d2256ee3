package worker

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"kresd/internal/listen"
	"kresd/internal/modules/ddr"
)

// designations is what the module ddr knows of the worker.
func (w *Worker) designations() ddr.Config {
	return ddr.Config{
		Endpoints:   func() []ddr.Endpoint { return offered(w.server.Endpoints()) },
		Reaches:     reaches,
		Unaddressed: listen.ByPath,
		Name:        func() (string, bool) { return w.encrypted.designation() },
		Path:        func() string { return (*w.settings.DoHPaths.Load())[0] },
		Minimises:   func() bool { return !w.settings.Options().WholeName },
	}
}

// reaches tells whether an address is this machine's. One that is good on a link needs
// that link to be tried, and is looked for among those of the interfaces.
func reaches(a netip.Addr) bool {
	if !a.IsLinkLocalUnicast() {
		return listen.Present(a)
	}
	list, _ := net.InterfaceAddrs() // without them it is not known
	return slices.ContainsFunc(list, func(at net.Addr) bool {
		p, err := netip.ParsePrefix(at.String())
		return err == nil && p.Addr().WithZone("") == a
	})
}

// offered are the endpoints that have an address.
func offered(endpoints []listen.Endpoint) []ddr.Endpoint {
	var list []ddr.Endpoint
	for _, e := range endpoints {
		if e.Path == "" && !e.Awaited {
			list = append(list, ddr.Endpoint{Addr: e.Addr, Kind: e.Kind})
		}
	}
	return list
}

// designation is the name by which clients are led to encrypted transports, and
// whether the operator has given a certificate: the host's if the certificate has
// it, else the first that the certificate has.
func (e *encryption) designation() (name string, certified bool) {
	host := e.host()
	if file, _ := e.certificate.Files(); file == "" {
		return host, false
	}
	leaf, err := e.certificate.Leaf()
	if err != nil || leaf.VerifyHostname(host) == nil {
		return host, true
	}
	for _, name := range leaf.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name, true
		}
	}
	return host, true
}
