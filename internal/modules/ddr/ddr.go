package ddr

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// The zone that every resolver has of its own, and where its designations are (RFC
// 9462, section 4).
const (
	zone  dnsname.Name = "\x08resolver\x04arpa\x00"
	where              = "\x04_dns" + zone
)

// ddr is the module ddr.
type ddr struct {
	Config
	mono func() time.Duration // of a clock that is never set

	announce atomic.Int32
	infoURL  atomic.Pointer[string]

	mu      sync.Mutex // who words anew
	said    atomic.Pointer[words]
	unknown saying // what the driver has to word
}

// When designations are told.
const (
	certified int32 = iota // when the operator has given a certificate
	always
	never
)

// words are what is said at a time.
type words struct {
	at   time.Duration
	host dnsname.Name // "": this host has no name that could stand in the DNS

	soa, ns, info, nodata, nxdomain *saying

	services []service
	designs  atomic.Pointer[map[netip.Addr]*saying] // by the address that was asked
}

// renew words what is to be said anew.
func (d *ddr) renew() *words {
	name, proven := d.Name()
	host, err := dnsname.Parse(name)
	if err != nil || host == "\x00" {
		host = ""
	}
	w := &words{
		at: d.mono(), host: host,
		soa: answer(wire.TypeSOA, soa()), ns: answer(wire.TypeNS, []byte(zone)), nodata: denial(wire.RcodeNoError), nxdomain: denial(wire.RcodeNXDomain),
		info: answer(wire.TypeRESINFO, d.information()),
	}
	if host != "" && d.announces(proven) {
		w.services = services(d.Endpoints(), host, d.Path())
	}
	w.designs.Store(&map[netip.Addr]*saying{})
	d.said.Store(w)
	return w
}

func (d *ddr) announces(proven bool) bool {
	switch d.announce.Load() {
	case always:
		return true
	case never:
		return false
	}
	return proven
}

// fresh are the words as they are to be now.
func (d *ddr) fresh() *words {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := d.said.Load(); !d.old(w) {
		return w
	}
	return d.renew()
}

func (d *ddr) old(w *words) bool { return d.mono()-w.at >= limits.DesignationLife }

// forget makes what is said next be worded anew.
func (d *ddr) forget() { d.said.Store(&words{at: -limits.DesignationLife}) }

// begin answers a request for what is said here.
func (d *ddr) begin(r *resolve.Request) resolve.State {
	name := []byte(r.Name)
	if r.Class != wire.ClassIN || !concerns(name, r.Type) {
		return resolve.Produce
	}
	if _, owned := r.Owned(r.Question, false); owned {
		return resolve.Produce
	}
	w := d.fresh()
	s := w.pick(name, r.Type, func() *saying { return d.designation(w, d.used(r.Local)) })
	if s == nil {
		return resolve.Produce
	}
	r.Result = s.about(r.Name)
	return resolve.Done
}

// fast does what begin would do.
func (d *ddr) fast(q *module.Query) module.Disposition {
	w, name := d.said.Load(), q.Subject.Name()
	switch {
	case !concerns(name, q.Subject.Type) || q.Owned():
		return module.Pass
	case d.old(w):
		return module.Driver
	}
	local := d.used(q.Subject.Local)
	s := w.pick(name, q.Subject.Type, func() *saying {
		if known := (*w.designs.Load())[local]; known != nil {
			return known
		}
		return &d.unknown
	})
	switch {
	case s == nil:
		return module.Pass
	case s.prepared == nil:
		return module.Driver
	}
	return q.Answer(s.prepared, nil)
}

// concerns tells whether a question may be one that is answered here.
func concerns(name []byte, t uint16) bool { return t == wire.TypeRESINFO || inZone(name) }

// inZone tells whether a name, in lower case, is the zone's or below.
func inZone(name []byte) bool {
	for ; len(name) > len(zone); name = name[1+int(name[0]):] {
	}
	return string(name) == string(zone)
}

// pick is what is said to a question, nil for nothing. designation gives what is
// said about encrypted transports.
func (w *words) pick(name []byte, t uint16, designation func() *saying) *saying {
	apex, there := string(name) == string(zone), string(name) == string(where)
	switch {
	case t == wire.TypeRESINFO && (apex || string(name) == string(w.host)):
		return w.info
	case apex && t == wire.TypeSOA:
		return w.soa
	case apex && t == wire.TypeNS:
		return w.ns
	case there && t == wire.TypeSVCB:
		return designation()
	case apex || there:
		return w.nodata
	case !inZone(name):
		return nil
	}
	return w.nxdomain
}

// used is the address that a client has used to reach a resolver, and by which it was
// received; none where it has used none.
func (d *ddr) used(local netip.AddrPort) netip.Addr {
	if d.Unaddressed(local) {
		return netip.Addr{}
	}
	return local.Addr()
}

// designation is what clients that ask at an address are told. It is kept for the next
// clients, for so many addresses.
//
// A client behind a proxy has asked at an address of the proxy's, which the proxy tells. If
// that is not one of this machine's, nothing is known of what listens there, or of
// whether the client reaches any address of this machine, so nothing is designated.
func (d *ddr) designation(w *words, local netip.Addr) *saying {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := *w.designs.Load()
	if s := before[local]; s != nil {
		return s
	}
	s := w.nodata
	if local.IsValid() && (listed(w.services, local) || d.Reaches(local)) {
		if data := records(w.services, local); len(data) > 0 {
			s = answer(wire.TypeSVCB, data...)
		}
	}
	if len(before) < limits.DesignationAddrs {
		after := map[netip.Addr]*saying{local: s}
		for a, s := range before {
			after[a] = s
		}
		w.designs.Store(&after)
	}
	return s
}

// infoURLText is ddr.infourl.
func (d *ddr) infoURLText() string {
	if u := d.infoURL.Load(); u != nil {
		return *u
	}
	return ""
}

// information is the RDATA of RESINFO: character-strings, each a key or a key with
// its value (RFC 9606, sections 4 and 5).
func (d *ddr) information() []byte {
	var list []string
	if d.Minimises() {
		list = append(list, "qnamemin")
	}
	list = append(list, "exterr="+extendedErrors)
	if u := d.infoURLText(); u != "" {
		list = append(list, "infourl="+u)
	}
	var data strings.Builder
	for _, text := range list {
		data.WriteByte(byte(len(text)))
		data.WriteString(text)
	}
	return []byte(data.String())
}

// extendedErrors are the codes that answers may have (RFC 8914), those of DENY_MSG
// apart.
const extendedErrors = "0-23,25,27,33"
