package cache

import (
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
	// What a module treats differently is answered in a way of its own.
	if !ok || req.Part || req.Scripted || req.Join != "" {
		return
	}
	if t.c.tooMuchProof(res.Authority) {
		return
	}
	if t.gap(req, ttl) {
		return
	}
	h := header{rank: res.Rank, made: t.now, ttl: min(ttl, t.c.MaxTTL())}
	var room [usualKey]byte
	key := appendAnswer(t.at(req.Name).appendPrefix(room[:0]), req.Type, req.Class, variant(req.DO, req.CD))
	if fromCache(res) && t.hasAnswer(key, h) {
		return
	}
	words := t.c.rooms.Get()
	defer t.c.rooms.Put(words)
	body := words.Make(req.Question, res, req.DO, 0)
	if body.TC {
		return
	}
	at := t.answers(req.Name, key)
	const perType = 4 // with and without DO and CD
	if at.answers >= perType*limits.MaxTypesPerName && !at.known {
		t.c.counters.Hit(limits.TypesPerName)
		return
	}
	kept, entry := together(key, encodeAnswer(h, t.seen, &body, len(key)))
	if seal(kept, entry) == nil || len(kept) > maxKey || at.known && t.hasAnswer(kept, h) {
		return
	}
	t.c.n.answers.Add(1)
	t.s.PutSince(t.seen, kept, entry, replacesAnswer)
}

// fromCache tells whether an answer begins with what the cache had, so that it may stand
// there already: for a question that a module has on the driver's way.
func fromCache(res *resolve.Result) bool {
	for _, sets := range [][]resolve.Set{res.Answer, res.Authority} {
		if len(sets) > 0 {
			return sets[0].Cached
		}
	}
	return false
}

// answers looks at the answers that are stored under a name; that of key is to be added.
func (t *stash) answers(n dnsname.Name, key []byte) surroundings {
	w := t.c.scanOf(t.at(n))
	defer t.c.scans.Put(w)
	w.key = append(w.key[:0], key...)
	w.prefix = append(w.prefix, familyAnswer)
	t.s.Range(w.prefix, w.count)
	return w.around
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
	seen := t.seen // see holds
	t.s.Get(key, func(old []byte) { yes = betterAnswer(key, old, h, seen) })
	return yes
}

// replacesAnswer is whether an answer takes the place of an older one.
func replacesAnswer(key, old, val []byte) bool {
	return !betterAnswer(key, old, parseHeader(val), clearsOf(val))
}

// betterAnswer tells whether a stored answer has seen the same clears as the one of
// header h, ranks no lower and lives as long.
func betterAnswer(key, old []byte, h header, clears uint64) bool {
	oh, body, ok := open(key, old)
	if !ok || oh.rank < h.rank {
		return false
	}
	var a reply.Body
	if seen, ok := decodeAnswer(oh, body, &a); !ok || seen != clears {
		return false
	}
	_, left, alive := oh.age(h.made)
	return alive && (left >= h.ttl || oh.rank > h.rank)
}
