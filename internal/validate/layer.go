package validate

import (
	"iter"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// Config is what the layer works with. Anchors must be given.
type Config struct {
	// Anchors are the trust anchors as of now.
	Anchors func() *trustanchor.Snapshot
	// Counts takes what was done; nil: nobody counts.
	Counts *Counts
}

// validator judges answers.
type validator struct {
	Config
	keys      memory
	done      work
	inquiries inquiries
}

const (
	fresh    = rank.Initial | rank.Auth // what iterate made of a message
	secure   = rank.Secure | rank.Auth
	insecure = rank.Insecure | rank.Auth
)

// Layer is the validate layer.
func Layer(cfg Config) *resolve.Layer {
	if cfg.Counts == nil {
		cfg.Counts = &Counts{}
	}
	v := &validator{Config: cfg}
	return &resolve.Layer{Name: "validate", Consume: v.consume, Finalize: v.finalize}
}

// consume judges a fresh answer.
func (v *validator) consume(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
	o := &q.Outcome
	switch {
	case !o.Origin.Fresh(), o.Kind == resolve.Pending, o.Kind == resolve.Lame:
		return resolve.Consume
	case unwatched(r, q):
		return resolve.Consume
	case q.Forwards() && q.Options.Stub: // the operator vouches for those servers
		for s := range unjudged(q) {
			s.Rank = rank.Try | rank.Auth
		}
		return resolve.Consume
	}
	return v.proofOf(r, q).judge()
}

// unwatched tells whether an answer stays as it came: what is for clients that check
// it themselves (RFC 4035, section 3.2.2), and what the resolver asks for to reach
// servers. Nobody else is told such data.
func unwatched(r *resolve.Request, q *resolve.Query) bool {
	return r.CD || r.Options.AsksCD || q.Options.AsksCD || q.Depth > 0
}

// unjudged are all sets that came fresh.
func unjudged(q *resolve.Query) iter.Seq[*resolve.Set] {
	return func(yield func(*resolve.Set) bool) {
		for _, sets := range [2][]resolve.Set{q.Outcome.Answer, q.Outcome.Authority} {
			for i := range sets {
				if sets[i].Rank == fresh && !yield(&sets[i]) {
					return
				}
			}
		}
	}
}

// finalize tells a client why its answer is believed without proof: because the operator
// said so (RFC 7646), or because of something odd about its zone. Fresh sets and those of
// the cache say the latter alike.
func (v *validator) finalize(r *resolve.Request) {
	res := &r.Result
	if res.EDE != ede.None || res.Rcode == wire.RcodeServFail || r.CD {
		return
	}
	if res.Rank == insecure {
		v.vouched(res, r.Name)
	}
	if res.EDE == ede.None {
		advise(res)
	}
}

// vouched tells that the operator has said that an answer for a name needs no proof.
func (v *validator) vouched(res *resolve.Result, name dnsname.Name) {
	entry := v.Anchors().Negative(name)
	if entry == nil {
		return
	}
	res.EDE, res.EDEText = ede.NegativeTrustAnchor, "nothing at and below "+entry.Name.String()+" is validated"
	if entry.Reason != "" {
		res.EDEText += ": " + entry.Reason
	}
	res.NoCache = true // the whole answer, which would not say so
}

// subject is the name whose closest anchor is where the proof of something begins. The
// DS set of a name is its parent's.
func subject(name dnsname.Name, rrtype uint16) dnsname.Name {
	if rrtype == wire.TypeDS && !name.IsRoot() {
		return name.Parent()
	}
	return name
}
