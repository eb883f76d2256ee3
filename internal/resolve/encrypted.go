package resolve

import (
	"errors"

	"kresd/internal/limits"
	"kresd/internal/selection"
)

// Where the operator wants it, authoritative servers are asked over TLS if they listen for
// it (RFC 9539). Nobody proves anything by that, and nobody waits for it: whether a server
// does is found out beside a question in the clear, and what fails over TLS is asked in
// the clear at once. Forwarders are asked in the way that their rule says.

// opportune tells whether a server may be asked over TLS that need not.
func (s *solver) opportune(q *Query, c selection.Choice) bool {
	return s.cfg.Opportunistic != nil && s.cfg.Opportunistic() && !q.Forwards() && !c.Confirm && !c.Resort && s.cfg.Servers.MayEncrypt(c.Endpoint)
}

// encrypts tells whether q goes over TLS to the chosen server: it did so lately, and not in
// vain in this query, and what else needs a connection is left one.
func (s *solver) encrypts(q *Query, c selection.Choice) bool {
	return c.Encrypts && !q.run.clear && s.r.Budget.mayConnect() && s.opportune(q, c)
}

// inClear tells whether q is asked anew because TLS failed, which is no fault of the server.
func (s *solver) inClear(q *Query, c selection.Choice, err error) bool {
	spent := errors.Is(err, ErrBudget) && LimitOf(err) != limits.TCPConnsRequest
	if !q.Server.Encrypted || s.r.ctx.Err() != nil || spent {
		return false
	}
	q.run.clear = true
	switch {
	case errors.Is(err, ErrLocal), errors.Is(err, ErrBudget):
	case errors.Is(err, ErrTimeout): // it may be slow just now
		s.cfg.Servers.TLSFailed(c.Endpoint, limits.NoEDNSLife)
	default:
		s.cfg.Servers.TLSFailed(c.Endpoint, limits.TLSDamping)
	}
	return true
}
