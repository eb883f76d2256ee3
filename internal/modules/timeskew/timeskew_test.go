package timeskew

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

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
	log    []string
	asked  int
	clears int
	leads  bool
}

func (f *fixture) Clear() (int, error) {
	f.clears++
	return 0, nil
}

func newFixture(t *testing.T, now int64) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewFake(time.Unix(now, 0)), store: trustanchor.New(), leads: true}
	f.store.UseBuiltin()
	note := func(line string) { f.log = append(f.log, line) }
	inst, err := Module(Config{Anchors: f.store.Snapshot, Leads: func() bool { return f.leads }}).Open(&module.Host{
		Clock: &f.clock.Clock, Tasks: &f.group, Context: t.Context(), Cache: f, Notice: note, Warn: note, Resolve: f.resolve,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inst.Close)
	f.layer = inst.Layer
	return f
}

func (f *fixture) resolve(_ context.Context, req *resolve.Request) {
	f.asked++
	if req.Result.EDE = ede.None; !req.CD {
		f.judge(req)
		return
	}
	sig := make([]byte, wire.SigFixed+2) // by the root, one octet
	binary.BigEndian.PutUint16(sig, req.Type)
	binary.BigEndian.PutUint32(sig[8:], begin+10*86400)
	binary.BigEndian.PutUint32(sig[12:], begin)
	req.Result.Answer = []resolve.Set{{RRset: wire.RRset{Owner: req.Name, Type: req.Type, Sigs: [][]byte{sig}}}}
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
