package timeskew

import (
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// The root's signatures are valid for ten days from this second.
const begin = 1_700_000_000

// fixture is the module before a root whose signatures are good when the clock is
// right.
type fixture struct {
	module.Cache
	layer  *resolve.Layer
	clock  *clock.Fake
	group  safe.Group
	store  *trustanchor.Store
	mu     sync.Mutex // of what follows, while the module looks by itself
	log    []string
	asked  int
	clears int
	leads  bool

	inst    *module.Instance
	anew    []bool // whether each question passed the cache by
	clearer error  // of the cache
	hold    chan struct{}
	roots   []wire.RRset // what the root's servers say, nil: its signatures
}

func (f *fixture) Clear() (int, error) {
	f.clears++
	return 0, f.clearer
}

func newFixture(t *testing.T, now int64) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewFake(time.Unix(now, 0)), store: trustanchor.New(), leads: true}
	f.store.UseBuiltin()
	note := func(line string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.log = append(f.log, line)
	}
	inst, err := Module(Config{Anchors: f.store.Snapshot, Leads: func() bool { return f.leads }}).Open(&module.Host{
		Clock: &f.clock.Clock, Tasks: &f.group, Context: t.Context(), Cache: f, Notice: note, Warn: note, Resolve: f.resolve,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inst.Close)
	f.layer, f.inst = inst.Layer, inst
	return f
}

func (f *fixture) resolve(_ context.Context, req *resolve.Request) {
	f.mu.Lock()
	f.asked++
	f.anew = append(f.anew, req.Options.BypassCache)
	f.mu.Unlock()
	if f.hold != nil {
		<-f.hold
	}
	if req.Result.EDE = ede.None; !req.CD {
		f.judge(req)
		return
	}
	if f.roots != nil {
		for _, set := range f.roots {
			req.Result.Answer = append(req.Result.Answer, resolve.Set{RRset: set})
		}
		return
	}
	req.Result.Answer = []resolve.Set{{RRset: signed(req.Type, begin, begin+10*86400, "\x00")}}
}

// signed is a set of the root's with a signature of one octet.
func signed(rrtype uint16, from, until uint32, signer string) wire.RRset {
	sig := make([]byte, wire.SigFixed, wire.SigFixed+len(signer)+1)
	binary.BigEndian.PutUint16(sig, rrtype)
	binary.BigEndian.PutUint32(sig[8:], until)
	binary.BigEndian.PutUint32(sig[12:], from)
	return wire.RRset{Owner: dnsname.Root, Type: rrtype, Sigs: [][]byte{append(append(sig, signer...), 0)}}
}

// judge is what validation says by the clock.
func (f *fixture) judge(req *resolve.Request) {
	switch now := f.clock.Unix(); {
	case now < begin:
		req.Result.Fail(&resolve.Failure{EDE: ede.SignatureNotYetValid})
	case now > begin+10*86400:
		req.Result.Fail(&resolve.Failure{EDE: ede.SignatureExpired})
	default:
		req.Result.Rank = rank.Secure | rank.Auth
	}
}

// client asks for something signed.
func (f *fixture) client() {
	req := &resolve.Request{Question: resolve.Question{Name: dnsname.Root, Type: wire.TypeA}}
	req.Result.EDE = ede.None
	f.judge(req)
	f.layer.Finalize(req)
	f.group.Wait()
}

// A clock that is wrong is told once, with what it shows and what the root says; when it
// is right that is told, and the cache forgets what it learnt.
func TestAWrongClockIsToldOnceAndForgottenWhenItIsRight(t *testing.T) {
	for _, c := range []struct {
		now  int64
		want string
	}{
		{12, "1970-01-01 00:00:12 UTC"}, {begin + 11*86400, "2023-11-25 22:13:20 UTC"},
	} {
		f := newFixture(t, c.now)
		for range 3 {
			f.client()
		}
		if len(f.log) != 1 || !strings.Contains(f.log[0], "it shows "+c.want+", and the root's signatures are valid from 2023-11-14 22:13:20 UTC to 2023-11-24 22:13:20 UTC") {
			t.Fatalf("%s: log %q", c.want, f.log)
		}
		if f.clears != 0 {
			t.Error("the cache was cleared while the clock was wrong")
		}
		f.clock.Advance(time.Duration(begin+86400-c.now) * time.Second)
		for range 3 {
			f.client()
		}
		if len(f.log) != 2 || !strings.Contains(f.log[1], "validation works again") || f.clears != 1 {
			t.Errorf("%s: log %q, the cache was cleared %d times", c.want, f.log, f.clears)
		}
	}
}

// The signatures of some other zone that are over say nothing about the clock, and are
// not looked into again and again.
func TestAnExpiredZoneSaysNothingAboutTheClock(t *testing.T) {
	f := newFixture(t, begin+86400)
	for range 3 {
		req := &resolve.Request{}
		req.Result.EDE = ede.None
		req.Result.Fail(&resolve.Failure{EDE: ede.SignatureExpired})
		f.layer.Finalize(req)
		f.group.Wait()
	}
	f.client()
	if len(f.log) > 0 || f.asked != 1 || f.clears > 0 {
		t.Errorf("log %q, %d questions, %d clears", f.log, f.asked, f.clears)
	}
}

// Who has no anchor of the root, or follows another worker, asks nothing.
func TestWithoutAnAnchorOfTheRootNothingIsAsked(t *testing.T) {
	f := newFixture(t, 12)
	f.leads = false
	f.client()
	f.leads = true
	f.store.Remove(dnsname.Root)
	f.client()
	if f.asked > 0 {
		t.Errorf("%d questions", f.asked)
	}
}

// pass lets time pass while the module looks by itself.
func (f *fixture) pass(d time.Duration) {
	f.release()
	time.Sleep(d)
	synctest.Wait()
}

// release puts what was read before what the module does next.
func (f *fixture) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
}

// Without clients the module looks a while after the start, and again as long as the clock
// is wrong; the end of the module ends that.
func TestTheModuleLooksByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, 12)
		pass := f.pass
		if pass(first - time.Second); f.asked != 0 {
			t.Errorf("%d questions before the first look", f.asked)
		}
		if pass(time.Second); len(f.log) != 1 || f.asked != 2 || f.anew[0] || !f.anew[1] {
			t.Errorf("at the first look: past the cache %v, log %q; want what the root's servers have, and no more", f.anew, f.log)
		}
		if pass(again); f.asked != 3 || !f.anew[2] {
			t.Errorf("after %v: past the cache %v", again, f.anew)
		}
		f.inst.Close()
		if pass(time.Hour); f.asked != 3 {
			t.Errorf("after the end: %d questions", f.asked)
		}
		f.clock.Advance((begin + 86400) * time.Second)
		if f.client(); f.asked != 3 {
			t.Errorf("after the end a client leads to %d questions", f.asked)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, begin+1)
		if f.pass(time.Hour); f.asked != 1 || len(f.log) != 0 {
			t.Errorf("a right clock: %d questions, log %q", f.asked, f.log)
		}
	})
}

// One look at a time, and a minute between looks that find nothing wrong.
func TestLooksAreFew(t *testing.T) {
	f := newFixture(t, begin+1)
	f.hold = make(chan struct{})
	expired := func() {
		req := &resolve.Request{}
		req.Result.EDE = ede.None
		req.Result.Fail(&resolve.Failure{EDE: ede.SignatureExpired})
		f.layer.Finalize(req)
	}
	for range 3 {
		expired()
	}
	f.hold <- struct{}{}
	if f.group.Wait(); f.asked != 1 {
		t.Errorf("%d looks at once", f.asked)
	}
	f.hold = nil
	f.clock.Advance(again - time.Millisecond)
	expired()
	if f.group.Wait(); f.asked != 1 {
		t.Errorf("%d looks within %v", f.asked, again)
	}
	f.clock.Advance(time.Millisecond)
	expired()
	if f.group.Wait(); f.asked != 2 {
		t.Errorf("%d looks after %v", f.asked, again)
	}
}

// Only failures by the time of a signature, and fresh proofs after them, are looked into.
func TestWhatIsLookedInto(t *testing.T) {
	for name, c := range map[string]struct {
		res   resolve.Result
		wrong bool // the clock was told to be
		want  bool
	}{
		"expired":              {resolve.Result{Failure: resolve.ErrLame, EDE: ede.SignatureExpired}, false, true},
		"not yet valid":        {resolve.Result{Failure: resolve.ErrLame, EDE: ede.SignatureNotYetValid}, false, true},
		"expired, told":        {resolve.Result{Failure: resolve.ErrLame, EDE: ede.SignatureExpired}, true, false},
		"bogus":                {resolve.Result{Failure: resolve.ErrLame, EDE: ede.Bogus}, false, false},
		"an answer of old":     {resolve.Result{EDE: ede.SignatureExpired}, false, false},
		"insecure":             {resolve.Result{EDE: ede.None, Rank: rank.Insecure}, true, false},
		"secure":               {resolve.Result{EDE: ede.None, Rank: rank.Secure}, false, false},
		"secure, told":         {resolve.Result{EDE: ede.None, Rank: rank.Secure}, true, true},
		"secure, cached, told": {resolve.Result{EDE: ede.None, Rank: rank.Secure, Cached: true}, true, false},
	} {
		f := newFixture(t, begin+1)
		if c.wrong {
			f.clock.Advance(-2 * time.Second)
			f.client()
			f.clock.Advance(again)
		}
		before := f.asked
		f.layer.Finalize(&resolve.Request{Result: c.res})
		if f.group.Wait(); (f.asked > before) != c.want {
			t.Errorf("%s: %d questions", name, f.asked-before)
		}
	}
}

// What the root's servers say is told where it says something: their own signatures, from the
// first that begins to the last that ends, if the clock shows none of that time.
func TestWhatIsToldOfTheRootsSignatures(t *testing.T) {
	const without = "it shows 1970-01-01 00:00:12 UTC; until it is set right"
	for name, c := range map[string]struct {
		roots []wire.RRset
		want  string
	}{
		"nothing":             {[]wire.RRset{}, without},
		"of another type":     {[]wire.RRset{signed(wire.TypeSOA, begin, begin+86400, "\x00")}, without},
		"of another zone":     {[]wire.RRset{signed(wire.TypeDNSKEY, begin, begin+86400, "\x03com\x00")}, without},
		"cut off":             {[]wire.RRset{{Type: wire.TypeDNSKEY, Sigs: [][]byte{{1}}}}, without},
		"the time that it is": {[]wire.RRset{signed(wire.TypeDNSKEY, 5, 86400, "\x00")}, without},
		"its last second":     {[]wire.RRset{signed(wire.TypeDNSKEY, 5, 12, "\x00")}, without},
		"its first second":    {[]wire.RRset{signed(wire.TypeDNSKEY, 12, 86400, "\x00")}, without},
		"one":                 {[]wire.RRset{signed(wire.TypeDNSKEY, begin, begin+86400, "\x00")}, "valid from 2023-11-14 22:13:20 UTC to 2023-11-15 22:13:20 UTC; until"},
		"a second set":        {[]wire.RRset{signed(wire.TypeNS, begin, begin+86400, "\x00")}, "valid from 2023-11-14 22:13:20 UTC to 2023-11-15 22:13:20 UTC; until"},
		"two": {[]wire.RRset{signed(wire.TypeDNSKEY, begin+86400, begin+2*86400, "\x00"), signed(wire.TypeDNSKEY, begin, begin+86400, "\x00")},
			"valid from 2023-11-14 22:13:20 UTC to 2023-11-16 22:13:20 UTC; until"},
	} {
		f := newFixture(t, 12)
		f.roots = c.roots
		if f.client(); len(f.log) != 1 || !strings.Contains(f.log[0], c.want) {
			t.Errorf("%s: log %q, want %q", name, f.log, c.want)
		}
	}
}

// That the cache could not be cleared is told, but for a cache that is closed.
func TestACacheThatCannotBeCleared(t *testing.T) {
	for err, want := range map[error]string{nil: "works again", cache.ErrClosed: "works again", resolve.ErrLocal: "works again; the cache could not be cleared: " + resolve.ErrLocal.Error()} {
		f := newFixture(t, 12)
		f.client()
		f.clearer = err
		f.clock.Advance((begin + 86400) * time.Second)
		if f.client(); len(f.log) != 2 || !strings.HasSuffix(f.log[1], want) {
			t.Errorf("%v: log %q", err, f.log)
		}
	}
}
