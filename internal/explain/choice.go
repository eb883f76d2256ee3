package explain

import (
	"fmt"
	"strings"
	"time"

	"kresd/internal/selection"
)

// named is how many servers that were left are named.
const named = 4

// because says why a server was chosen.
func because(why selection.Reason) string {
	text := ground(why)
	switch {
	case why.Resort:
		text += ", by TCP since nothing came by UDP"
	case why.Confirm:
		text += ", by TCP to learn whether it knows EDNS"
	}
	if why.Known {
		text += fmt.Sprintf("; it is expected in %v", why.Expected.Round(10*time.Microsecond))
	}
	return text
}

func ground(why selection.Reason) string {
	switch why.Ground {
	case selection.OnlyServer:
		return "the only one"
	case selection.OnlyLeft:
		return "the only one that is left"
	case selection.BestLeft:
		return "the best that is left"
	case selection.SilentTried:
		return "it was silent lately and is tried once more"
	case selection.NothingKnown:
		return fmt.Sprintf("one of %d of which nothing is known", why.Of)
	case selection.ToLearn:
		return fmt.Sprintf("not the fastest of %d, to learn about it", why.Of)
	case selection.Fastest:
		return fmt.Sprintf("the fastest of %d", why.Of)
	}
	return "asked again"
}

// leftOut names servers that were not chosen.
func leftOut(servers []selection.LeftOut) string {
	var out []string
	for _, s := range servers[:min(len(servers), named)] {
		out = append(out, s.Addr.String()+" "+fault(s.Fault))
	}
	if more := len(servers) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

func fault(f selection.Fault) string {
	switch f {
	case selection.FailedQuery:
		return "failed this question several times"
	case selection.UselessInZone:
		return "is of no use for the zone"
	case selection.FamilyBroken:
		return "is of a family that does not work here"
	}
	return "is silent"
}
