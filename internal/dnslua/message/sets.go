package message

import (
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/modules/policy"
	"kresd/internal/wire"
)

// Sets are the sets that the records of a section belong to, with signatures as sets of their own, as
// scripts for kresd know them.
func (p *Message) Sets(section int) []wire.RRset { return grouped(p.Records(section)) }

func grouped(list []wire.RR) (sets []wire.RRset) {
	type key struct {
		dnsname.Name
		t, class, covers uint16
	}
	at := map[key]int{}
	for _, rr := range list {
		k := key{rr.Owner, rr.Type, rr.Class, 0}
		if rr.Type == wire.TypeRRSIG && len(rr.RData) >= wire.SigFixed {
			k.covers = wire.Covered(rr.RData)
		}
		i, ok := at[k]
		if !ok {
			i = len(sets)
			at[k] = i
			sets = append(sets, wire.RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class, TTL: rr.TTL})
		}
		sets[i].TTL = min(sets[i].TTL, rr.TTL)
		sets[i].Data = append(sets[i].Data, rr.RData)
	}
	return sets
}

// SetLines are the records of a set as in a zone file, with blanks between their parts.
func SetLines(set wire.RRset) (lines []string) {
	for _, data := range set.Data {
		lines = append(lines, strings.ReplaceAll(policy.RecordText(set, data), "\t", " "))
	}
	return lines
}

// Lines are the records of a set, one behind the other, in a style.
func (s Style) Lines(set *wire.RRset) string {
	var b strings.Builder
	for i := range set.Data {
		b.WriteString(s.Line(RecordAt(set, i)))
		b.WriteByte('\n')
	}
	return b.String()
}
