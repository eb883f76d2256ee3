package iterate

import (
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// refused judges an RCODE that is no answer. A server that may be confused by
// EDNS is asked once more without it (RFC 6891, section 7). One that answers with an
// OPT record is not confused, unless it says FORMERR, for some echo the record that they
// do not understand, or BADVERS, since there is no version below the one that is asked in.
func (a *answer) refused() resolve.Outcome {
	q := a.q
	switch a.msg.Rcode {
	case wire.RcodeFormErr, wire.RcodeNotImp, wire.RcodeServFail, wire.RcodeBadVers:
		about := a.msg.Rcode == wire.RcodeFormErr || a.msg.Rcode == wire.RcodeBadVers
		doubtful := !q.Server.NoEDNS && (!a.msg.HasEDNS || about)
		if doubtful && (a.msg.Rcode != wire.RcodeServFail || q.Asked == q.Question) {
			if q.RetryWithoutEDNS() {
				return resolve.Outcome{}
			}
		}
	case wire.RcodeRefused: // by the operator's own server: the client is told, if none does better
		if q.Forwards() && q.Options.Stub {
			return a.keep(a.denial())
		}
	}
	return lame
}
