package servestale

import (
	"testing"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// around has servers of old asked for a request that came to nothing; what they are asked comes
// to what says answers. asked tells whether they were.
func (b *bench) around(says resolve.Result) (res *resolve.Result, asked bool) {
	b.known, b.cut = resolve.Outcome{}, &zonecut.Cut{Name: "\x07example\x00"}
	done := make(chan *resolve.Result, 1)
	go func() { done <- b.failed(b.request(), resolve.ErrNoServer, ede.NoReachableAuthority) }()
	select {
	case own := <-b.asked:
		own.Result = says
		b.goOn <- struct{}{}
		return <-done, true
	case res = <-done:
		return res, false
	}
}

// What a rule for answers had made for one client was told to all others for a moment.
func TestWhatWasMadeForAClientIsNotToldToOthers(t *testing.T) {
	for what, c := range map[string]struct {
		says  resolve.Result
		again bool
	}{
		"an answer":           {resolve.Result{Rcode: wire.RcodeNoError}, false},
		"one for this client": {resolve.Result{Rcode: wire.RcodeRefused, NoCache: true}, true},
		"a failure":           {resolve.Result{Rcode: wire.RcodeServFail, NoCache: true}, false},
	} {
		b := newBench(t)
		c.says.EDE = ede.None
		first, asked := b.around(c.says)
		if !asked || first.Rcode != c.says.Rcode {
			t.Errorf("%s: %+v", what, first)
		}
		if _, asked := b.around(c.says); asked != c.again {
			t.Errorf("%s: the servers are asked again: %v", what, asked)
		}
	}
}

// What servers of old say has been judged in a request of its own, and was judged again; what
// an alias of old leads to is judged with the alias.
func TestWhatIsAskedForIsJudgedOnce(t *testing.T) {
	b := newBench(t)
	if res, asked := b.around(resolve.Result{EDE: ede.None}); !asked || !res.Judged {
		t.Errorf("servers of old are asked: %v, judged %v", asked, res.Judged)
	}
	b = newBench(t)
	if res := b.failed(b.request(), resolve.ErrNoServer, ede.NoReachableAuthority); res.Judged {
		t.Error("what the cache has as it came is taken for judged")
	}
	go b.ask(b.request().Question)
	if own := <-b.asked; !own.Part || !own.Inner {
		t.Errorf("an alias leads to %+v", own)
	}
}
