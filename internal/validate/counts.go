package validate

import (
	"errors"
	"sync/atomic"
	"time"

	"kresd/internal/resolve"
)

// Counts are what the layer has done.
type Counts struct {
	checks, nanoseconds     atomic.Uint64
	secure, insecure, bogus atomic.Uint64
}

// Checks is how many signatures and digests were checked.
func (c *Counts) Checks() uint64 { return c.checks.Load() }

// Time is how long proofs took, without what they waited for.
func (c *Counts) Time() time.Duration { return time.Duration(c.nanoseconds.Load()) }

// Secure, Insecure and Bogus are how many answers were judged to be that. A bogus one may
// have been followed by a better one of another server.
func (c *Counts) Secure() uint64 { return c.secure.Load() }

// Insecure is explained with Secure.
func (c *Counts) Insecure() uint64 { return c.insecure.Load() }

// Bogus is explained with Secure.
func (c *Counts) Bogus() uint64 { return c.bogus.Load() }

func (c *Counts) took(d time.Duration) { c.nanoseconds.Add(uint64(d)) }

// verdict counts what a proof came to. Referrals are on the way to an answer.
func (c *Counts) verdict(q *resolve.Query, err error) {
	_, failed := errors.AsType[*resolve.Failure](err)
	_, refused := errors.AsType[refusal](err)
	switch {
	case failed, refused:
		c.bogus.Add(1)
	case err != nil, q.Outcome.Kind == resolve.Referral:
	case q.Outcome.Rank().IsSecure():
		c.secure.Add(1)
	default:
		c.insecure.Add(1)
	}
}
