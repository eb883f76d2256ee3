package resolve

import (
	"kresd/internal/dnsname"
	"kresd/internal/zonecut"
)

// A Partition names those who share what is remembered of the DNS: who is in
// another partition neither reads nor overwrites it. 0 is everybody who is
// configured in no way that could make a difference.
type Partition uint64

// Partitions are the two that a configuration, and by it a request, is in. Who is
// configured alike is in the same ones, in every process that uses a cache.
type Partitions struct {
	// Data is for what servers told: RRsets, denials, delegations, addresses of
	// name servers. It differs with what decides who is asked and what is believed:
	// root hints, trust anchors, and the options of shaping.
	Data Partition
	// Answers is for what whole requests came to: answers and failures. It differs
	// with all that Data differs with, and with rules and what can be reached.
	Answers Partition
}

// shaping is a number for the options that decide which servers are asked, what is
// believed of what they say, or whether signatures come with it; 0 for none.
func (o *Options) shaping() uint64 {
	return bits("shaping", o.Strict, o.Permissive, o.NoEDNS, o.AnyAddress)
}

// reaching is shaping with the options that decide whether servers can be reached
// and understood.
func (o *Options) reaching() uint64 {
	return o.shaping() ^ bits("reaching", o.NoIPv4, o.NoIPv6, o.TCPOnly, o.KeepCase, o.WholeName, o.AskSilent)
}

// bits is a number for the switches that are on, 0 for none. It is that of no other
// kind of switches.
func bits(kind string, switches ...bool) uint64 {
	var on byte
	for i, is := range switches {
		if is {
			on |= 1 << i
		}
	}
	if on == 0 {
		return 0
	}
	return digest(kind, string(rune(on)))
}

// With is p for those who also differ by n; 0 makes no difference.
func (p Partition) With(n uint64) Partition {
	if n == 0 {
		return p
	}
	h := uint64(p)*0x9e3779b97f4a7c15 + n
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return Partition(max(h^h>>31, 1)) // never that of everybody
}

// WithText is With for what is not a number; "" makes no difference.
func (p Partition) WithText(text string) Partition {
	if text == "" {
		return p
	}
	return p.With(digest(text))
}

// WithOptions is p for those all of whose requests have certain options, of which
// only those count that can make a difference.
func (p Partitions) WithOptions(o Options) Partitions {
	return Partitions{Data: p.Data.With(o.shaping()), Answers: p.Answers.With(o.reaching())}
}

// Servers tells sets of servers apart, in whatever order they stand. It is not 0 for
// any, not even for none.
func Servers(cut *zonecut.Cut) uint64 {
	sum := digest("servers")
	for i := range cut.NS {
		one := zonecut.Cut{NS: cut.NS[i : i+1]}
		sum += digest(string(cut.NS[i].Name), string(one.AppendEndpoints(nil)))
	}
	return sum
}

// digest is FNV-1a over texts.
func digest(texts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, text := range texts {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return h
}

// join puts a request that begins into the partitions of the configuration.
func (r *Request) join(current func() Partitions) {
	r.inForce, r.Partition = current, Partitions{}
	if current != nil {
		r.Partition = current()
	}
	r.began = r.Partition
}

// settle takes into account what the Begin hooks decided: the options of the request,
// and who is asked.
func (r *Request) settle() {
	r.Partition.Data = r.Partition.Data.With(r.Options.shaping())
	if own := r.own(); own.Cut != nil {
		r.forwarded = r.partition(&own)
	}
}

// partition is where data are looked for and kept that are had by a route. What the
// servers of a forwarding rule say is for those who ask the same servers in the same
// way about the same names.
func (r *Request) partition(t *Route) Partition {
	if t.Cut == nil {
		return r.Partition.Data
	}
	return r.Partition.Data.With(Servers(t.Cut)).WithText(string(t.Scope)).With(bits("rule", !t.Stub, t.Stub))
}

// scope is the name at and below which the servers of Cut may be believed.
func (r *Request) scope() dnsname.Name {
	if r.Scope == "" {
		return r.Name
	}
	return r.Scope
}

// PartitionOf is where data are looked for about a question to which the request's
// own leads: those of the servers of its route, else what iteration learnt.
func (r *Request) PartitionOf(q Question) Partition {
	route := r.RouteOf(q)
	return r.partition(&route)
}

// Failures is the partition in which it is remembered that the request failed.
func (r *Request) Failures() Partition {
	return r.Partition.Answers.With(r.Options.reaching()).With(uint64(r.forwarded))
}

// InForce tells whether the configuration is still the one with which the request
// began: else nobody can tell which of the two shaped what it learnt.
func (r *Request) InForce() bool { return r.inForce == nil || r.inForce() == r.began }
