package cache

import (
	"bytes"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// answer keeps the whole answer to a client for others who ask the same.
func (t *stash) answer(req *resolve.Request) {
	res := &req.Result
	ttl, ok := answerTTL(req)
	// A request that may not be joined with others is answered in a way of its own.
	if !ok || req.Alone || req.Join != "" {
		return
	}
	if t.c.tooMuchProof(res.Authority) {
		return
	}
	if t.gap(req, ttl) {
		return
	}
	body := reply.Make(req.Question, res, req.DO, 0)
	if body.TC {
		return
	}
	key := t.at(req.Name).answer(req.Type, req.Class, variant(req.DO, req.CD))
	others, known := t.answers(req.Name, key)
	const perType = 4 // with and without DO and CD
	if others >= perType*limits.MaxTypesPerName && !known {
		t.c.counters.Hit(limits.TypesPerName)
		return
	}
	h := header{rank: res.Rank, made: t.now, ttl: min(ttl, t.c.MaxTTL())}
	entry := seal(key, encodeAnswer(h, t.seen, &body))
	if entry == nil || len(key) > maxKey || known && t.hasAnswer(key, h) {
		return
	}
	t.c.n.answers.Add(1)
	t.s.PutSince(t.seen, key, entry, func(old []byte) bool { return !t.betterAnswer(key, old, h) })
}

// answers counts the answers stored under a name and tells whether key's is one
// of them.
func (t *stash) answers(n dnsname.Name, key []byte) (count int, known bool) {
	t.s.Range(t.at(n).key(familyAnswer), func(k, _ []byte) bool {
		count++
		known = known || bytes.Equal(k, key)
		return true
	})
	return count, known
}

// answerTTL is how long an answer holds: as long as the shortest-lived of its
// parts. It is not ok for an answer that is not for others: a module's own, a
// failure, one with parts that nothing is known about, a denial without SOA.
func answerTTL(req *resolve.Request) (ttl uint32, ok bool) {
	res := &req.Result
	if res.NoCache || res.TC || !mayAnswer(res.Rank, req.CD) {
		return 0, false
	}
	switch res.Rcode {
	case wire.RcodeNoError, wire.RcodeNXDomain, wire.RcodeYXDomain:
	default:
		return 0, false
	}
	ttl = ^uint32(0)
	for _, sets := range [][]resolve.Set{res.Answer, res.Authority, res.Additional} {
		for i := range sets {
			s := &sets[i]
			if !storable(s.Rank) || s.Rank.IsBogus() && !req.CD {
				return 0, false
			}
			ttl = min(ttl, s.TTL)
		}
	}
	return ttl, ttl > 0 && (reached(req) || hasSOA(res))
}

// reached tells whether the chain in the answer ends with the asked type, or
// with a redirection that leads nowhere.
func reached(req *resolve.Request) bool {
	n := len(req.Result.Answer)
	return n > 0 && (req.Result.Answer[n-1].Type == req.Type || req.Result.Rcode == wire.RcodeYXDomain)
}

func hasSOA(res *resolve.Result) bool {
	for i := range res.Authority {
		if res.Authority[i].Type == wire.TypeSOA {
			return true
		}
	}
	return false
}

// hasAnswer tells whether an answer that betterAnswer prefers stands under key already,
// so that nothing would be gained by writing.
func (t *stash) hasAnswer(key []byte, h header) (yes bool) {
	t.s.Get(key, func(old []byte) { yes = t.betterAnswer(key, old, h) })
	return yes
}

// betterAnswer tells whether a stored answer has seen the same clears as the one of
// header h, ranks no lower and lives as long.
func (t *stash) betterAnswer(key, old []byte, h header) bool {
	oh, body, ok := open(key, old)
	if !ok || oh.rank < h.rank {
		return false
	}
	var a reply.Body
	if clears, ok := decodeAnswer(oh, body, &a); !ok || clears != t.seen {
		return false
	}
	_, left, alive := oh.age(h.made)
	return alive && (left >= h.ttl || oh.rank > h.rank)
}
