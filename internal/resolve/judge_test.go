package resolve

import (
	"strings"
	"testing"

	"kresd/internal/wire"
)

// Whatever takes a failure's place is judged as the answer would have been; what a Begin hook
// has decided is not, and neither is what is done to an answer that was judged.
func TestWhatTakesTheJudgedAnswersPlaceIsJudged(t *testing.T) {
	for _, c := range []struct {
		rcode    int
		resolved bool
		want     string
	}{
		{wire.RcodeServFail, true, "judge(2) stale judge(0) keep"},
		{wire.RcodeNoError, true, "judge(0) stale keep"},
		{wire.RcodeServFail, false, "stale keep"},
	} {
		var done []string
		layers := []*Layer{
			{Name: "judge", Judge: func(r *Request) { done = append(done, "judge("+string(rune('0'+r.Result.Rcode))+")") }},
			{Name: "stale", Finalize: func(r *Request) { done = append(done, "stale"); r.Result.Rcode = wire.RcodeNoError }},
			{Name: "cache", Finalize: func(*Request) { done = append(done, "keep") }},
		}
		r := &Request{Result: Result{Rcode: c.rcode}}
		finalize(layers, r, c.resolved)
		if got := strings.Join(done, " "); got != c.want {
			t.Errorf("rcode %d, resolved %v: %s, want %s", c.rcode, c.resolved, got, c.want)
		}
	}
}

// What a request of its own has brought in a failure's place had been judged, so that renumber
// changed addresses twice; what becomes part of another answer is judged there.
func TestNothingIsJudgedTwice(t *testing.T) {
	for _, c := range []struct {
		judged, part bool
		want         int
	}{{false, false, 2}, {true, false, 1}, {false, true, 0}, {true, true, 0}} {
		judgements := 0
		layers := []*Layer{
			{Name: "judge", Judge: func(*Request) { judgements++ }},
			{Name: "stale", Finalize: func(r *Request) { r.Result.Rcode, r.Result.Judged = wire.RcodeNoError, c.judged }},
		}
		finalize(layers, &Request{Part: c.part, Result: Result{Rcode: wire.RcodeServFail}}, true)
		if judgements != c.want {
			t.Errorf("%+v: judged %d times", c, judgements)
		}
	}
}
