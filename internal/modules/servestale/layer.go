package servestale

import (
	"errors"
	"slices"
	"time"

	"kresd/internal/cache"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// concerned tells whether a request may be answered with old data: a client's, if
// it does not insist on fresh ones.
func concerned(req *resolve.Request) bool {
	return req.Client.IsValid() && !req.Options.BypassCache
}

// accept cuts the time of a request for which there is an answer of old, or a way
// of old to those who know.
func (s *serveStale) accept(req *resolve.Request) {
	if !concerned(req) {
		return
	}
	if o, stale := s.old(req, anyAge, nil); stale && o.Kind != resolve.Pending || o.Kind == resolve.Pending && s.oldCut(req) != nil {
		req.Patience = max(time.Duration(s.timeout.Load()), time.Nanosecond)
	}
}

// produce does not begin anew what is being tried already.
func (s *serveStale) produce(req *resolve.Request, q *resolve.Query) resolve.State {
	waits := concerned(req) || req.Inner && req.Patience > 0
	if q.Parent == nil && waits && s.isTried(questionOf(req), req.Now) {
		return req.Fail(&resolve.Failure{EDE: ede.NoReachableAuthority})
	}
	return resolve.Produce
}

// finalize puts an answer of old in the place of a failure to reach anybody.
func (s *serveStale) finalize(req *resolve.Request) {
	res := &req.Result
	if res.Drop || res.Stale || !concerned(req) {
		return
	}
	if res.Rcode != wire.RcodeServFail {
		s.fresh(req)
		return
	}
	why, unreachable := s.reason(req)
	if !unreachable {
		return
	}
	// Trying further may be the only way to an answer: servers may be slower than the time
	// that begin left of the request's.
	_ = s.answer(req, why) || s.askAround(req, why)
	if errors.Is(res.Failure, resolve.ErrPatience) && !s.tryFurther(req) {
		res.Failure = resolve.ErrDeadline // so that it is remembered as failed
	}
}

// reason is what the client is told of why the answer is old; ok is false for a failure
// in whose place none is in order. How a failure shows differs from question to question
// (no time left, being tried, remembered): what was told first is told on.
func (s *serveStale) reason(req *resolve.Request) (why string, ok bool) {
	if why, ok = reasons[req.Result.EDE]; !ok {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := questionOf(req)
	if first, told := s.reasons[q]; told {
		return first, true
	}
	if req.Result.EDEText != "" {
		why = req.Result.EDEText
	}
	if len(s.reasons) >= limits.StaleTold {
		clear(s.reasons)
	}
	s.reasons[q] = why
	return why, true
}

// fresh forgets the reason of failures that are over.
func (s *serveStale) fresh(req *resolve.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reasons) > 0 {
		delete(s.reasons, questionOf(req))
	}
}

func questionOf(req *resolve.Request) question {
	return question{req.Question, req.CD, req.Partition.Answers}
}

// reasons are the failures in whose place an answer of old is in order.
var reasons = map[ede.Code]string{
	ede.NotReady:             "no root server is known",
	ede.NoReachableAuthority: "no authority could be reached",
	ede.NetworkError:         "the network failed",
}

// answer makes the result of what was known, and tells whether there was
// anything. It is not called secure: signatures may have ended, too.
func (s *serveStale) answer(req *resolve.Request, why string) bool {
	o, stale := s.old(req, s.allow(req), s.asking(req))
	if o.Kind == resolve.Pending {
		return false
	}
	res := resolve.Result{
		Rcode: o.Rcode, Answer: o.Answer, Authority: o.Authority, Rank: rank.Auth | rank.Insecure,
		EDE: ede.None, NoCache: true, Stale: stale, Cached: true, Failure: req.Result.Failure,
	}
	if stale {
		res.EDE, res.EDEText = ede.StaleAnswer, why
		if o.Rcode == wire.RcodeNXDomain {
			res.EDE = ede.StaleNXDomain
		}
	}
	req.Result = res
	if req.Tell != nil {
		known := o
		req.Tell(req.Root(), resolve.StaleAnswered{Reason: why, Outcome: &known})
	}
	return true
}

// asking has the servers asked of what an alias of old leads to: only what cannot be
// refreshed is told although it is old. All of it together has as long as askAround, and
// each target half of what is left of it, for those behind it.
func (s *serveStale) asking(req *resolve.Request) cache.Ask {
	var end time.Time
	return func(q resolve.Question) (o resolve.Outcome, ok bool) {
		if end.IsZero() {
			end = time.Now().Add(limits.StaleTimeout / 2)
		}
		own := &resolve.Request{
			Question: q, RD: true, CD: req.CD, DO: req.DO, Inner: true, Part: true,
			Options: req.Options, Budget: req.Budget, Patience: time.Until(end) / 2, Tell: req.Tell,
		}
		if own.Patience <= 0 {
			return o, false
		}
		own.For(req)
		req.WillWait()
		s.host.Resolve(s.host.Context, own)
		res := &own.Result
		if res.Rcode == wire.RcodeServFail {
			if errors.Is(res.Failure, resolve.ErrPatience) {
				s.tryFurther(own)
			}
			return o, false
		}
		o = resolve.Outcome{Kind: resolve.Positive, Rcode: res.Rcode, Answer: res.Answer, Authority: res.Authority, Own: res.NoCache}
		if res.Rcode == wire.RcodeNXDomain {
			o.Kind = resolve.NXDomain
		}
		return o, true
	}
}

// askAround asks the servers that a delegation named which has ended: its parent
// cannot be reached, but they may. Nothing of it is cached, since nobody vouches
// for them now (RFC 8767, section 6); it is told, and what failed is remembered as
// any failure (RFC 9520, section 3.2), for limits.ServfailTTL.
func (s *serveStale) askAround(req *resolve.Request, why string) bool {
	cut := s.oldCut(req)
	if cut == nil || req.Cut != nil { // with a Cut, the operator named the servers
		return false
	}
	q := questionOf(req)
	res, ok := s.toldLately(q, req.Now)
	if !ok {
		if req.Tell != nil {
			req.Tell(req.Root(), resolve.StaleServersAsked{Reason: why, Zone: cut.Name})
		}
		own := &resolve.Request{
			Question: req.Question, RD: true, CD: req.CD, DO: true, Options: req.Options.With(resolve.Options{BypassCache: true}),
			Cut: cut, Judged: true, Alone: true, Patience: limits.StaleTimeout / 2, Budget: req.Budget, Tell: req.Tell,
		}
		own.For(req)
		req.WillWait()
		s.host.Resolve(s.host.Context, own)
		res = own.Result
		brief(res.Answer)
		brief(res.Authority)
		if res.Rcode == wire.RcodeServFail || !res.NoCache { // else it is for this client only
			s.remember(q, told{req.Now + limits.ServfailTTL, res})
		}
	}
	if res.Rcode == wire.RcodeServFail {
		return false
	}
	res.Answer, res.Authority = slices.Clone(res.Answer), slices.Clone(res.Authority) // layers after this one may change theirs
	res.Failure, res.NoCache, res.Stale, res.Judged = req.Result.Failure, true, true, true
	res.EDE, res.EDEText = ede.StaleAnswer, why+", the delegation is old"
	req.Result = res
	return true
}

// brief makes sets be asked for again as soon as they are here.
func brief(sets []resolve.Set) {
	for i := range sets {
		sets[i].TTL = min(sets[i].TTL, limits.ServfailTTL)
	}
}

func (s *serveStale) toldLately(q question, now int64) (resolve.Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.told[q]
	return t.result, ok && now < t.until && t.until-now <= limits.ServfailTTL
}

func (s *serveStale) remember(q question, t told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) >= limits.StaleTold {
		clear(s.told)
	}
	s.told[q] = t
}

// isTried tells whether a question is under way in the background: the time is
// the one that requests are judged by.
func (s *serveStale) isTried(q question, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.underWay(q, now)
}

func (s *serveStale) underWay(q question, now int64) bool {
	since, yes := s.further[q]
	return yes && now >= since && now-since <= int64(limits.RequestDeadline/time.Second)
}

// tryFurther goes on with a question in the background, as long as any request
// may take. It is asked of the same servers as the client's was, and by the same
// rules. false: too many are tried already.
func (s *serveStale) tryFurther(req *resolve.Request) bool {
	q := questionOf(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underWay(q, req.Now) {
		return true
	}
	if len(s.further) >= limits.StaleRefreshing {
		return false
	}
	s.further[q] = req.Now
	own := &resolve.Request{
		Question: req.Question, RD: true, CD: req.CD, DO: true,
		Options: req.Options, Cut: req.Cut, Scope: req.Scope, ByName: req.ByName, Inner: req.Inner, Judged: true, Join: req.Join, Alone: req.Alone, Scripted: req.Scripted, Budget: req.Budget,
	}
	own.For(req)
	since := req.Now
	s.host.Tasks.Go("serve_stale", func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.further[q] == since { // or another one took its place
				delete(s.further, q)
			}
		}()
		s.host.Resolve(s.host.Context, own)
	})
	return true
}
