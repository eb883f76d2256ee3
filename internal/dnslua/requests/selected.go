package requests

import (
	"strings"

	"kresd/internal/dnslua/records"
	"kresd/internal/dnslua/terms"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// A chosen set is one of those that an answer is made of.
type chosen struct {
	set      *records.RRSet
	rank     rank.Rank
	query    uint32 // that it answers
	cached   bool
	expiring bool
}

// expiringTTL is how few seconds the TTL of a set has left that is about to leave the cache.
const expiringTTL = 5

// chosenOf are the sets of a section, and behind each its signatures as a set of their own.
func chosenOf(r *View, section int) (list []*chosen) {
	req := r.Req
	sets, query := *sectionOf(&req.Result, section), uint32(0)
	if root := req.Root(); root != nil {
		query = root.ID
		if empty := len(req.Result.Answer)+len(req.Result.Authority) == 0; empty && section < 2 {
			sets = [][]resolve.Set{root.Outcome.Answer, root.Outcome.Authority}[section]
		}
	}
	for i := range sets {
		s := &sets[i]
		add := func(t uint16, data [][]byte) {
			if len(data) > 0 {
				list = append(list, &chosen{
					set:  records.NewRRSet(&r.loan, wire.RRset{Owner: s.Owner, Type: t, Class: s.Class, TTL: s.TTL, Data: data}),
					rank: s.Rank, query: query, cached: s.Cached, expiring: s.Cached && s.TTL < expiringTTL,
				})
			}
		}
		add(s.Type, s.Data)
		add(wire.TypeRRSIG, s.Sigs)
	}
	return list
}

// selectedArray is what scripts know as req.answ_selected, auth_selected and add_selected.
func (v *Views) selectedArray(r *View, section int) *script.Handle {
	var items []any
	for _, one := range chosenOf(r, section) {
		items = append(items, &script.Handle{Class: v.selected, Value: one})
	}
	return v.Array(&r.loan, items)
}

func (v *Views) selectedClass() *script.Class {
	class := &script.Class{Name: "selected set", CData: true}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		one := value.(*chosen)
		one.set.Must(c)
		switch key {
		case "rr":
			return v.SetHandle(one.set), nil
		case "rank":
			return int(one.rank), nil
		case "qry_uid":
			return one.query, nil
		case "cached":
			return one.cached, nil
		case "expiring":
			return one.expiring, nil
		case "to_wire":
			return true, nil
		}
		return nil, script.NoMember(class, key, "rr", "rank", "qry_uid", "cached", "expiring", "to_wire")
	}
	class.Text = func(value any) string {
		one := value.(*chosen)
		if one.set.Over() {
			return "selected set"
		}
		return one.set.Text()
	}
	return class
}

// selectedText is req:selected_tostring(): all selected sets with their ranks.
func selectedText(r *View) string {
	var b strings.Builder
	for section, title := range []string{"answer", "authority", "additional"} {
		list := chosenOf(r, section)
		if len(list) == 0 {
			continue
		}
		b.WriteString(";; selected for the " + title + "\n")
		for _, one := range list {
			b.WriteString("; rank: " + terms.RankText(one.rank) + "\n" + one.set.Text())
		}
	}
	return b.String()
}
