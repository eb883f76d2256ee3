package iterate

import (
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// refused judges an RCODE that is no answer. A server that may be confused by
// EDNS is asked again without it (RFC 6891, section 7); one that answered with
// an OPT record is not confused.
func (a *answer) refused() resolve.Outcome {
	q := a.q
	switch a.msg.Rcode {
	case wire.RcodeFormErr, wire.RcodeNotImp, wire.RcodeServFail:
		mute := !a.msg.HasEDNS && !q.Server.NoEDNS
		if mute && (a.msg.Rcode != wire.RcodeServFail || q.Asked == q.Question) {
			q.RetryWithoutEDNS()
			return resolve.Outcome{}
		}
	case wire.RcodeRefused: // by the operator's own server: the client is told, if none does better
		if q.Forwards() && q.Options.Stub {
			return a.keep(a.denial())
		}
	}
	return lame
}
