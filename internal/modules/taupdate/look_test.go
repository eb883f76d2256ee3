package taupdate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// What the driver knows of a failure is told to the operator.
func TestAFailureIsToldWithItsReason(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	w.show("", "")
	const plain = "the answer is SERVFAIL without DNSKEY records"
	for _, tc := range []struct {
		code ede.Code
		text string
		want string
	}{
		{ede.None, "", plain + "\n"}, {ede.None, "left over", plain + "\n"}, {ede.NetworkError, "", plain + "\n"},
		{ede.NetworkError, "no server could be reached", plain + ": no server could be reached\n"},
	} {
		w.log.Reset()
		w.fault = resolve.Result{Rcode: wire.RcodeServFail, EDE: tc.code, EDEText: tc.text}
		if x.look(); !strings.Contains(w.log.String(), tc.want) {
			t.Errorf("%d %q: %s", tc.code, tc.text, &w.log)
		}
	}
}

// The keys are found wherever they stand in the answer.
func TestOtherSetsOfTheAnswerAreNotTheKeys(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	w.beside = []resolve.Set{
		{RRset: wire.RRset{Owner: "\x00", Type: wire.TypeNS, Class: wire.ClassIN, Data: [][]byte{{0}}}},
		{RRset: wire.RRset{Owner: "\x03com\x00", Type: wire.TypeDNSKEY, Class: wire.ClassIN, Data: [][]byte{{1, 1, 3, 15}}}},
	}
	w.show("ab", "a")
	x.look()
	w.expect("a:Valid b:AddPend", x)
}

// A zone is looked at by one look at a time, which ends what it holds with it.
func TestLooksDoNotOverlap(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	var asked context.Context
	w.during = func(ctx context.Context) {
		if asked != nil {
			return
		}
		asked = ctx
		x.zone().look()
	}
	x.look()
	if len(w.times) != 1 {
		t.Errorf("%d questions at once", len(w.times))
	}
	if asked.Err() == nil {
		t.Error("the question goes on when it is answered")
	}
	if x.look(); len(w.times) != 2 {
		t.Errorf("%d questions by two looks", len(w.times))
	}
}

// What a look finds after the end of the module has no effect.
func TestALookThatTheModuleDoesNotOutliveHasNoEffect(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	for _, readonly := range []bool{false, true} {
		x := w.worker()
		x.load(readonly)
		z := x.zone()
		w.log.Reset()
		w.show("ab", "a")
		w.times, w.during = nil, func(context.Context) { x.f.close() }
		z.look()
		w.expect("a:Valid", x)
		if w.log.Len() > 0 || z.timer.Stop() {
			t.Errorf("read-only %v: a next look is planned, or the log says %s", readonly, &w.log)
		}
		if z.look(); len(w.times) != 1 {
			t.Errorf("read-only %v: asked %d times, once before the end", readonly, len(w.times))
		}
	}
}

// Keys that are no longer trusted, all of them, are told when that happens.
func TestThatNothingIsTrustedIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	w.show("A", "A")
	x.look()
	x.look()
	w.expect("A:Revoked", x)
	if n := strings.Count(w.log.String(), "no key of . is trusted any more"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &w.log)
	}
}

// A key that is removed is remembered as long as the option says, in this process: that the
// file, which this process has written, does not have it makes no difference.
func TestARemovedKeyIsRememberedThoughTheFileIsWritten(t *testing.T) {
	w := newWorld(t)
	w.write("ab")
	x := w.worker()
	x.store.SetTiming(func(o *trustanchor.Timing) { o.KeepRemoved = 1 })
	x.load(false)
	x.f.tick()
	w.show("aB", "aB")
	x.look()
	w.pass(31 * 24 * time.Hour)
	w.show("a", "a")
	x.look()
	x.f.tick()
	w.expect("a:Valid B:Removed", x)
}

// Keys that are only watched are told each time they become others, in whatever order the
// zone shows them, and wherever the anchors are from.
func TestOtherKeysAreToldEachTimeTheyChange(t *testing.T) {
	w := newWorld(t)
	x := w.worker()
	if err := x.store.Add(key('a').DS(dns.SHA256).String()); err != nil {
		t.Fatal(err)
	}
	x.f.sync()
	x.zone().timer.Stop()
	told := 0
	for _, tc := range []struct {
		shown string
		tells bool
	}{{"a", false}, {"abc", true}, {"acb", false}, {"a", false}, {"acb", true}, {"ab", true}} {
		if tc.tells {
			told++
		}
		w.show(tc.shown, "a")
		x.look()
		if n := strings.Count(w.log.String(), "the trust anchors in the configuration are not kept up to date"); n != told {
			t.Errorf("with %s: told %d times, want %d:\n%s", tc.shown, n, told, &w.log)
		}
	}
	if strings.Contains(w.log.String(), "cb_unmanagedkey_change") || x.tasks.Panics() > 0 {
		t.Errorf("a function that there is not was called:\n%s", &w.log)
	}
}

// A script's function that ends well is not complained of, one that fails is.
func TestWhatAScriptSaysOfOtherKeys(t *testing.T) {
	for _, fails := range []error{nil, errors.New("no such thing")} {
		w := newWorld(t)
		w.write("a")
		x := w.worker()
		x.fails = fails
		x.load(true)
		if err := x.f.set("cb_unmanagedkey_change", "function"); err != nil {
			t.Fatal(err)
		}
		w.show("ab", "a")
		x.look()
		if complains := strings.Contains(w.log.String(), "ta_update.cb_unmanagedkey_change"); complains != (fails != nil) || len(x.calls) != 1 {
			t.Errorf("%v: called %d times:\n%s", fails, len(x.calls), &w.log)
		}
	}
}
