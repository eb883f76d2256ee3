package selection

import (
	"fmt"
	"strings"
	"time"
)

// explained is how many servers that were left Explain names.
const explained = 4

// Explain tells in words why c was chosen among the servers of w, and why others
// were left. It is for people who read along, and looks at everything again.
func (s *Selector) Explain(w Want, c Choice) (why, left string) {
	all := s.candidates(w, nil)
	equals, known, least := 0, 0, time.Duration(0)
	var chosen *candidate
	for i := range all {
		if all[i].Endpoint == c.Endpoint {
			chosen = &all[i]
		}
	}
	if chosen == nil {
		return "asked again", ""
	}
	for i := range all {
		if o := &all[i]; o.class == chosen.class {
			if equals++; equals == 1 || o.score < least {
				least = o.score
			}
			if o.Known {
				known++
			}
		}
	}
	why = because(chosen, c, equals, known, least)
	if w.Tried.Any() { // those that are out of the question are not among all
		why = strings.Replace(why, "the only one", "the only one that is left", 1)
	}
	return why, leave(all, chosen)
}

func because(chosen *candidate, c Choice, equals, known int, least time.Duration) string {
	var why string
	switch {
	case chosen.class == silent:
		why = "it was silent lately and is tried once more"
	case equals == 1 && chosen.class == fit:
		why = "the only one"
	case equals == 1:
		why = "the best that is left"
	case known == 0:
		why = fmt.Sprintf("one of %d of which nothing is known", equals)
	case chosen.score > least+near:
		why = fmt.Sprintf("not the fastest of %d, to learn about it", equals)
	default:
		why = fmt.Sprintf("the fastest of %d", equals)
	}
	switch {
	case c.Resort:
		why += ", by TCP since nothing came by UDP"
	case c.Confirm:
		why += ", by TCP to learn whether it knows EDNS"
	}
	if chosen.Known {
		why += fmt.Sprintf("; it is expected in %v", chosen.score.Round(10*time.Microsecond))
	}
	return why
}

// leave names servers that were left for a reason other than their speed.
func leave(all []candidate, chosen *candidate) string {
	var out []string
	more := 0
	for i := range all {
		o := &all[i]
		if o.class <= chosen.class {
			continue
		}
		if len(out) == explained {
			more++
			continue
		}
		out = append(out, o.Addr.Addr().String()+" "+reason(o.class))
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

// reason is what a class says about a server.
func reason(class int) string {
	switch class {
	case failing:
		return "failed this question several times"
	case lame:
		return "is of no use for the zone"
	case brokenFamily:
		return "is of a family that does not work here"
	}
	return "is silent"
}
