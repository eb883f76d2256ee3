package caching

import (
	"fmt"

	"kresd/internal/cache"
	"kresd/internal/dnslua/message"
	"kresd/internal/dnslua/terms"
	"kresd/internal/ede"
	"kresd/internal/luavalue"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// shownTable is an entry of the cache as cache.get() lists it.
func shownTable(one *cache.Shown) *luavalue.Table {
	t := (&luavalue.Table{}).Add("kind", shownKind(one.Kind)).Add("ttl", one.Left).Add("age", one.Age).
		Add("rank", int(one.Rank)).Add("trust", terms.RankText(one.Rank))
	if one.Type != 0 {
		t.Add("type", terms.TypeText(one.Type))
	}
	if one.Partition != 0 {
		t.Add("partition", fmt.Sprintf("%016x", uint64(one.Partition)))
	}
	switch one.Kind {
	case cache.ShownSet:
		t.Add("records", recordLines(one.Sets[:1], false)).Add("proofs", append(recordLines(one.Sets[:1], true), allLines(one.Sets[1:])...))
	case cache.ShownNoData, cache.ShownNXDomain:
		t.Add("records", []string{}).Add("proofs", allLines(one.Sets))
	case cache.ShownCut:
		addCut(t, one)
	case cache.ShownFailure:
		t.Add("reason", ede.Text(one.Failed, one.Reason))
	case cache.ShownAnswer:
		t.Add("rcode", wire.RcodeText(one.Rcode)).Add("dnssec", one.DO).Add("cd", one.CD).Add("records", recordLines(one.Sets, false))
	}
	return t
}

// addCut adds the name servers of a delegation with their addresses, and its DS set.
func addCut(t *luavalue.Table, one *cache.Shown) {
	servers := &luavalue.Table{}
	for i := range one.Cut.NS {
		ns, addrs := &one.Cut.NS[i], []string{}
		for _, a := range ns.Addrs {
			addrs = append(addrs, a.String())
		}
		servers.Add(ns.Name.String(), addrs)
	}
	t.Add("servers", servers)
	if one.Cut.DS != nil {
		t.Add("proofs", allLines([]resolve.Set{{RRset: *one.Cut.DS}}))
	}
}

func shownKind(k cache.ShownKind) string {
	return map[cache.ShownKind]string{
		cache.ShownSet: "rrset", cache.ShownNoData: "nodata", cache.ShownNXDomain: "nxdomain", cache.ShownCut: "delegation",
		cache.ShownFailure: "failure", cache.ShownAnswer: "answer",
	}[k]
}

func allLines(sets []resolve.Set) []string {
	return append(recordLines(sets, false), recordLines(sets, true)...)
}

// recordLines are the records of sets as in zone files, or their signatures.
func recordLines(sets []resolve.Set, sigs bool) []string {
	lines := []string{}
	for i := range sets {
		set := sets[i].RRset
		if sigs {
			set.Type, set.Data = wire.TypeRRSIG, set.Sigs
		}
		lines = append(lines, message.SetLines(set)...)
	}
	return lines
}
