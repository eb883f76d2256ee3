package dns64

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/selection"
	"kresd/internal/wire"
)

// noSOATTL is how long a made-up address holds at most where no SOA says it, in seconds (RFC
// 6147, section 5.1.7).
const noSOATTL = 600

// asked is the key of the sub-query for A records among the Vars of a request; it is by the
// query that it belongs to, as aliases lead to several.
type asked struct{ q *resolve.Query }

// wanted tells whether what is missing for a query is made up: one for the client's own
// question or the target of its aliases.
func (d *dns64) wanted(r *resolve.Request, q *resolve.Query) bool {
	if q.Type != wire.TypeAAAA || q.Class != wire.ClassIN || !d.serves(r) {
		return false
	}
	for q.IsTarget() {
		q = q.Parent
	}
	return q.Parent == nil
}

// serves tells whether answers are made up for a request.
func (d *dns64) serves(r *resolve.Request) bool {
	return !r.CD && !r.Options.AsksCD && r.Options.Marks&d.disabled.Marks == 0
}

// consume makes up what is missing.
func (d *dns64) consume(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
	if q.Outcome.Kind != resolve.NoData && q.Outcome.Kind != resolve.Positive || q.Outcome.Own || !d.wanted(r, q) {
		return resolve.Consume
	}
	o := d.now.Load()
	sub, _ := r.Vars[asked{q}].(*resolve.Query)
	if sub == nil {
		if q.Outcome.Kind == resolve.Positive && !o.exclude6(&q.Outcome) {
			return resolve.Consume
		}
		sub, err := r.Push(q, resolve.Question{Name: q.Name, Type: wire.TypeA, Class: wire.ClassIN}, q.Options)
		if err != nil {
			return resolve.Consume // it costs too much: the answer is as it is
		}
		if r.Vars == nil {
			r.Vars = map[any]any{}
		}
		r.Vars[asked{q}] = sub
		return resolve.Yield
	}
	if sub.Err == nil && sub.Outcome.Kind == resolve.Positive {
		if made, ok := o.made(&sub.Outcome, ttlOf(&q.Outcome), func(four [4]byte) bool { return o.leavesOut(r, q.Name, four) }); ok {
			q.Outcome = made
		}
	}
	return resolve.Consume
}

// exclude6 leaves excluded addresses out of an outcome, and tells whether none is left, so
// that it has no data. What stood beside them, as the proof that a wildcard made them, proves
// nothing of the kind.
func (o *options) exclude6(out *resolve.Outcome) (none bool) {
	at := slices.IndexFunc(out.Answer, func(s resolve.Set) bool { return s.Type == wire.TypeAAAA })
	if at < 0 || !slices.ContainsFunc(out.Answer[at].Data, o.excludes) {
		return false
	}
	s := out.Answer[at]
	left := slices.DeleteFunc(slices.Clone(s.Data), o.excludes)
	chain := slices.Clone(out.Answer[:at])
	out.Origin = resolve.FromModule
	if len(left) == 0 {
		out.Kind, out.Answer, out.Authority = resolve.NoData, chain, nil
		return true
	}
	out.Answer = append(chain, rules.Record(s.Owner, s.Type, s.TTL, left...))
	return false
}

// made is the outcome with addresses that are made of the A records, without those to be left
// out.
func (o *options) made(a *resolve.Outcome, most uint32, leaveOut func([4]byte) bool) (out resolve.Outcome, ok bool) {
	n := len(a.Answer)
	if n == 0 || a.Answer[n-1].Type != wire.TypeA {
		return out, false
	}
	last := a.Answer[n-1]
	var data [][]byte
	for _, four := range last.Data {
		if len(four) == 4 && !leaveOut([4]byte(four)) {
			six := embed(o.prefix, [4]byte(four)).As16()
			data = append(data, six[:])
		}
	}
	out = *a
	out.Origin, out.Authority = resolve.FromModule, nil
	out.Answer = append(slices.Clone(a.Answer[:n-1]), rules.Record(last.Owner, wire.TypeAAAA, min(last.TTL, most), data...))
	return out, len(data) > 0
}

// leavesOut tells whether nothing is made of an address of a name: one that a stranger must not
// name (Options.PublicOnly), behind whatever prefix, or one that does not stand behind this.
func (o *options) leavesOut(r *resolve.Request, name dnsname.Name, four [4]byte) bool {
	if o.outside && !global(four) {
		return true
	}
	if !r.Options.PublicOnly || r.Options.AnyAddress || !selection.Local(netip.AddrFrom4(four)) {
		return false
	}
	_, own := r.Owned(resolve.Question{Name: name, Type: wire.TypeA, Class: wire.ClassIN}, true)
	return !own
}

// judge keeps what is told to those only who are allowed all addresses from the others.
func (d *dns64) judge(r *resolve.Request) {
	if !r.Options.PublicOnly || !r.Options.AnyAddress {
		return
	}
	o := d.now.Load()
	for i := range r.Result.Answer {
		s := &r.Result.Answer[i]
		if s.Type == wire.TypeAAAA && slices.ContainsFunc(s.Data, o.hidesLocal) {
			r.Result.NoCache = true
		}
	}
}

// hidesLocal tells whether an address of no public host stands behind the prefix.
func (o *options) hidesLocal(data []byte) bool {
	a, ok := netip.AddrFromSlice(data)
	if !ok {
		return false
	}
	four, ok := extract(o.prefix, a)
	return ok && selection.Local(netip.AddrFrom4(four))
}

// ttlOf is how long it holds that a name has no data (RFC 2308, section 5).
func ttlOf(out *resolve.Outcome) uint32 {
	for i := range out.Authority {
		s := &out.Authority[i]
		if s.Type == wire.TypeSOA && len(s.Data) == 1 && len(s.Data[0]) >= 4 {
			return min(s.TTL, binary.BigEndian.Uint32(s.Data[0][len(s.Data[0])-4:]))
		}
	}
	return noSOATTL
}

// ipv4only is the name by which hosts find the prefix, with its addresses (RFC 7050, section
// 8.2).
const ipv4only dnsname.Name = "\x08ipv4only\x04arpa\x00"

func ipv4onlyAddresses() [2][4]byte { return [...][4]byte{{192, 0, 0, 170}, {192, 0, 0, 171}} }

// own answers for ipv4only.arpa and for names of made-up addresses.
func (d *dns64) own(r *resolve.Request, q resolve.Question, sub bool) (out resolve.Outcome, ok bool) {
	o := d.now.Load()
	switch {
	case q.Class != wire.ClassIN || !d.serves(r):
		return out, false
	case q.Type == wire.TypePTR:
		a, is := addressOf([]byte(q.Name))
		if !is {
			return out, false
		}
		four, is := extract(o.prefix, a)
		if !is {
			return out, false
		}
		target := nameOf(four)
		return resolve.Outcome{
			Kind: resolve.Alias, Target: target, Zone: q.Name, Cached: true,
			Answer: []resolve.Set{rules.Record(q.Name, wire.TypeCNAME, o.revTTL, []byte(target))},
		}, true
	case q.Name == ipv4only && !sub:
		return o.ipv4only(q), true
	}
	return out, false
}

// ipv4only is the answer about the name by which hosts find the prefix.
func (o *options) ipv4only(q resolve.Question) resolve.Outcome {
	const day = 86400
	out := resolve.Outcome{Kind: resolve.NoData, Zone: q.Name, Cached: true}
	var data [][]byte
	for _, four := range ipv4onlyAddresses() {
		switch six := embed(o.prefix, four).As16(); q.Type {
		case wire.TypeA:
			data = append(data, four[:])
		case wire.TypeAAAA:
			data = append(data, six[:])
		}
	}
	if len(data) == 0 {
		out.Authority = []resolve.Set{rules.SOA(q.Name, q.Name, day)}
		return out
	}
	out.Kind = resolve.Positive
	set := rules.Record(q.Name, q.Type, day, data...)
	set.Rank = rank.Auth | rank.Insecure
	out.Answer = []resolve.Set{set}
	return out
}

// fast leaves to the driver what own may answer.
func (d *dns64) fast(q *module.Query) module.Disposition {
	name := q.Subject.Name()
	if string(name) == string(ipv4only) {
		return module.Driver
	}
	if q.Subject.Type == wire.TypePTR {
		if a, is := addressOf(name); is && d.now.Load().prefix.Contains(a) {
			return module.Driver
		}
	}
	return module.Pass
}
