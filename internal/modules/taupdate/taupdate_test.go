package taupdate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/clock"
	"kresd/internal/logging"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// A world is a root that shows keys, and workers that follow them.
type world struct {
	t      *testing.T
	clock  *clock.Clock
	pass   func(time.Duration)
	shown  []*authority.Key
	by     []*authority.Key
	beside []resolve.Set         // of an answer, ahead of the keys
	fault  resolve.Result        // of an answer without keys
	during func(context.Context) // nil, or what happens while the root is asked
	began  time.Time
	times  []time.Duration // since then, of the root's being asked
	path   string
	log    bytes.Buffer
	out    io.Writer // nil: log
	level  logging.Level
}

// A worker has the module over anchors of its own.
type worker struct {
	*world
	config Config
	host   *module.Host
	store  *trustanchor.Store
	f      *follower
	own    bytes.Buffer // its part of the log
	tasks  safe.Group
	leads  bool
	calls  []any
	fails  error // of the script's function
}

func newWorld(t *testing.T) *world {
	c := clock.NewFake(time.Unix(1_800_000_000, 0))
	w := &world{t: t, clock: &c.Clock, began: c.Now(), pass: c.Advance, path: filepath.Join(t.TempDir(), "root.keys")}
	w.fault.Rcode = wire.RcodeServFail
	w.show("a", "a")
	return w
}

func key(letter byte) *authority.Key {
	return authority.NewKey(".", authority.KSK, dns.ED25519, strings.ToLower(string(letter))).With(func(d *dns.DNSKEY) {
		d.Hdr.Ttl = 2 * 86400
		if letter < 'a' {
			d.Flags |= dns.REVOKE
		}
	})
}

func (w *world) show(shown, by string) {
	w.shown, w.by = nil, nil
	for i := range len(shown) {
		w.shown = append(w.shown, key(shown[i]))
	}
	for i := range len(by) {
		w.by = append(w.by, key(by[i]))
	}
}

// write makes the key file with the digests of keys.
func (w *world) write(letters string) {
	w.t.Helper()
	text := ""
	for i := range len(letters) {
		text += key(letters[i]).DS(dns.SHA256).String() + "\n"
	}
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// resolve is the driver: it has the DNSKEY set of the root.
func (w *world) resolve(ctx context.Context, req *resolve.Request) {
	w.times = append(w.times, w.clock.Now().Sub(w.began))
	if !req.RD || !req.DO || !req.CD || !req.Options.BypassCache || req.Type != wire.TypeDNSKEY {
		w.t.Errorf("asked %+v", req)
	}
	if w.during != nil {
		w.during(ctx)
	}
	if len(w.shown) == 0 {
		req.Result = w.fault
		return
	}
	set := wire.RRset{Owner: req.Name, Type: req.Type, Class: req.Class, TTL: 3600}
	var rrs []dns.RR
	for _, k := range w.shown {
		rrs = append(rrs, k.Record())
		set.Data = append(set.Data, data(w.t, k.Record()))
	}
	now := uint32(w.clock.Unix())
	for _, k := range w.by {
		set.Sigs = append(set.Sigs, data(w.t, k.Sign(rrs, now-86400, now+20*86400, nil)))
	}
	req.Result = resolve.Result{Answer: append(slices.Clone(w.beside), resolve.Set{RRset: set})}
}

// data is the RDATA of a record of the root.
func data(t *testing.T, rr dns.RR) []byte {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	const fixed = 11 // of the root: name, type, class, TTL, length
	return buf[fixed:n]
}

func (w *world) worker() *worker {
	w.t.Helper()
	x := &worker{world: w, store: trustanchor.New(), leads: true}
	out := w.out
	if out == nil {
		out = &w.log
	}
	log := logging.New(logging.Options{Out: io.MultiWriter(out, &x.own), Level: w.level}).Group("ta")
	x.config = Config{Store: x.store, Leads: func() bool { return x.leads }, Log: log}
	x.host = &module.Host{
		Clock: w.clock, Tasks: &x.tasks, Context: w.t.Context(), Resolve: w.resolve,
		Callback: func(v any) (module.Callback, bool) {
			if v != "function" {
				return nil, false
			}
			return func(_ *resolve.Request, args ...any) ([]any, error) {
				x.calls = append(x.calls, args...)
				return nil, x.fails
			}, true
		},
	}
	x.f = newFollower(x.config, x.host)
	x.f.cancel = func() {} // a test says itself when it wants to be noticed
	w.t.Cleanup(func() {
		x.f.close()
		if x.tasks.Wait(); x.tasks.Panics() > 0 {
			w.t.Error("a task panicked")
		}
	})
	return x
}

// load reads the key file, and has the module notice.
func (x *worker) load(readonly bool) {
	x.t.Helper()
	if _, err := x.store.AddFile(x.path, readonly); err != nil {
		x.t.Fatal(err)
	}
	x.f.sync()
	x.zone().timer.Stop() // a test looks when it wants to
}

// zone is the root as the module follows it.
func (x *worker) zone() *zone {
	x.f.mu.Lock()
	defer x.f.mu.Unlock()
	return x.f.zones["\x00"]
}

func (x *worker) states() string {
	var words []string
	set := x.store.Snapshot().Sets["\x00"]
	if set == nil {
		return ""
	}
	for _, k := range set.Keys {
		name := "?"
		for _, l := range []byte("abcABC") {
			if key(l).KeyTag() == k.Tag {
				name = string(l)
			}
		}
		words = append(words, name+":"+string(k.State))
	}
	return strings.Join(words, " ")
}

func (x *worker) look() { x.zone().look(); x.tasks.Wait() }

func (w *world) expect(want string, workers ...*worker) {
	w.t.Helper()
	for i, x := range workers {
		if got := x.states(); got != want {
			w.t.Errorf("worker %d has %s, want %s; log:\n%s", i, got, want, &w.log)
		}
	}
}

// One worker follows the keys and writes the file, the others read it; when the one
// ends, another one goes on. What was seen is in force in all of them.
func TestOneFollowsAndTheOthersRead(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	first, second := w.worker(), w.worker()
	first.load(false)
	if _, err := second.store.AddFile(w.path, false); err != nil {
		t.Fatal(err)
	}
	if second.f.sync(); second.zone().timer.Stop() {
		t.Error("who does not hold the lock is going to ask")
	}
	w.show("ab", "a")
	second.look()
	if len(w.times) != 0 {
		t.Error("who does not hold the lock asks")
	}
	first.look()
	w.expect("a:Valid b:AddPend", first)
	w.expect("a:Valid", second)
	second.f.tick()
	w.expect("a:Valid b:AddPend", first, second)
	if !strings.Contains(second.own.String(), "state: AddPend") {
		t.Errorf("who reads the file does not tell what is new in it:\n%s", &second.own)
	}
	for _, trouble := range []string{"could not", "cannot", "stay in force", ".lock"} {
		if strings.Contains(w.log.String(), trouble) {
			t.Errorf("without trouble the log says %q:\n%s", trouble, &w.log)
		}
	}
	w.pass(31 * 24 * time.Hour)
	first.look()
	second.f.tick()
	w.expect("a:Valid b:Valid", first, second)

	first.f.close()
	if first.followed() {
		t.Error("a module that is unloaded goes on")
	}
	if strings.Contains(w.log.String(), ".lock") {
		t.Errorf("trouble with the lock is told:\n%s", &w.log)
	}
	second.f.tick()
	w.show("Ab", "Ab")
	second.look()
	w.expect("A:Revoked b:Valid", second)
	third := w.worker()
	third.load(false)
	w.expect("b:Valid A:Revoked", third)
	for _, line := range []string{"state: AddPend", "state: Revoked", "next refresh for . in 24 hours\n"} {
		if !strings.Contains(w.log.String(), line) {
			t.Errorf("the log lacks %q:\n%s", line, &w.log)
		}
	}
}

// followed tells whether the zone is still followed.
func (x *worker) followed() bool { return x.zone() != nil }

// A zone that shows nothing, or nothing that is proved, leaves everything as it is.
func TestAFailureChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	for _, tc := range []struct{ shown, by, says string }{
		{"", "", "the answer is SERVFAIL without DNSKEY records"}, {"b", "b", "shows none of the keys that are trusted"}, {"ab", "b", "no such key"},
	} {
		w.log.Reset()
		w.show(tc.shown, tc.by)
		x.look()
		w.expect("a:Valid", x)
		if !strings.Contains(w.log.String(), "the keys of . could not be followed: ") || !strings.Contains(w.log.String(), tc.says) || !strings.Contains(w.log.String(), "next refresh for . in 1 hour") {
			t.Errorf("%q, signed by %q: %s", tc.shown, tc.by, &w.log)
		}
	}
	if text, err := os.ReadFile(w.path); err != nil || strings.Contains(string(text), "DNSKEY") {
		t.Errorf("the file was written: %s, %v", text, err)
	}
}

// After a look that failed the next one comes sooner, by what the last good one saw.
func TestTheNextLook(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	for _, tc := range []struct{ shown, by, want string }{
		{"", "", "1 hour"}, {"a", "a", "24 hours"}, {"", "", "4.8 hours"}, {"ab", "b", "4.8 hours"}, {"A", "A", "4.8 hours"},
	} {
		w.log.Reset()
		w.show(tc.shown, tc.by)
		x.look()
		if got := w.log.String(); !strings.Contains(got, "next refresh for . in "+tc.want+"\n") {
			t.Errorf("%q, signed by %q: %s, want %s", tc.shown, tc.by, got, tc.want)
		}
	}
	if got := w.log.String(); !strings.Contains(got, "no key of . is trusted any more") {
		t.Errorf("that nothing is trusted is not told:\n%s", got)
	}
}

// What stays as it is is told only to who reads along.
func TestSteadyKeysAreToldInAVerboseLog(t *testing.T) {
	for _, level := range []logging.Level{logging.Notice, logging.Debug} {
		w := newWorld(t)
		w.level = level
		w.write("a")
		x := w.worker()
		x.load(false)
		x.look()
		x.look()
		if got, want := strings.Contains(w.log.String(), "state: Valid"), level == logging.Debug; got != want || strings.Contains(w.log.String(), "trusted any more") {
			t.Errorf("level %v:\n%s", level, &w.log)
		}
	}
}

// Who gives other anchors for a zone ends the following of the former file.
func TestOtherAnchorsEndTheFollowing(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	former := x.zone()
	if _, err := x.store.AddFile(w.path, true); err != nil {
		t.Fatal(err)
	}
	former.look()
	if len(w.times) != 0 || !strings.Contains(x.states(), "a:Valid") {
		t.Errorf("asked %d times; %s", len(w.times), x.states())
	}
	x.f.sync()
	if former.lock != nil || x.zone() == former || x.zone().managed {
		t.Error("the file is still kept up to date")
	}
	lock, err := trustanchor.TryLock(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	former.look()
	if len(w.times) != 0 {
		t.Error("what is no longer followed is looked at")
	}
}

// A file that is damaged or gone while workers run changes nothing, is told once, and
// is written anew at the next look. One that an operator writes is taken over.
func TestAFileThatIsDamagedMeanwhileChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x, y := w.worker(), w.worker()
	x.load(false)
	y.load(false)
	x.look()
	x.f.tick()
	y.f.tick()
	for _, damage := range []func() error{
		func() error { return os.WriteFile(w.path, []byte(". IN DS 1 "), 0o600) }, func() error { return os.Remove(w.path) },
		func() error {
			return os.WriteFile(w.path, []byte("example. IN DS 1 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"), 0o600)
		},
	} {
		w.log.Reset()
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			x.f.tick()
			y.f.tick()
		}
		w.expect("a:Valid", x, y)
		if n := strings.Count(w.log.String(), "the trust anchors that are known stay in force"); n != 2 {
			t.Errorf("told %d times:\n%s", n, &w.log)
		}
		x.look()
		y.f.tick()
		w.expect("a:Valid", x, y)
		if text, err := os.ReadFile(w.path); err != nil || !strings.Contains(string(text), "DNSKEY") {
			t.Errorf("the file was not written anew: %s, %v", text, err)
		}
	}
	w.write("ab")
	x.f.tick()
	y.f.tick()
	w.expect("a:Valid b:Valid", x, y)
	if err := os.Remove(w.path + ".lock"); err != nil {
		t.Fatal(err)
	}
	y.f.tick()
	x.f.tick()
	if x.zone().lock != nil || y.zone().lock == nil {
		t.Error("two writers, after somebody removed the lock by hand")
	}
}

// Where the file cannot be written what was seen is in force all the same.
func TestAFileThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	if err := os.RemoveAll(filepath.Dir(w.path)); err != nil {
		t.Fatal(err)
	}
	w.show("ab", "a")
	x.look()
	w.expect("a:Valid b:AddPend", x)
	if !strings.Contains(w.log.String(), "could not be written") {
		t.Errorf("log: %s", &w.log)
	}
	x.f.tick()
	x.f.tick()
	if n := strings.Count(w.log.String(), "cannot be kept up to date by this worker"); n != 1 {
		t.Errorf("told %d times that the lock is gone:\n%s", n, &w.log)
	}
}

// Anchors that are not kept up to date are watched by one worker: that the zone has
// other keys is told once, to the log and to a script.
func TestOtherKeysAreTold(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x, y := w.worker(), w.worker()
	y.leads = false
	for _, z := range []*worker{x, y} {
		z.load(true)
		if err := z.f.set("cb_unmanagedkey_change", "function"); err != nil {
			t.Fatal(err)
		}
	}
	y.look()
	if len(w.times) != 0 || y.zone().timer == nil {
		t.Error("two workers of a group watch, or one never will")
	}
	x.fails = errors.New("no such thing")
	x.look()
	if strings.Contains(w.log.String(), "have changed") || len(x.calls) != 0 {
		t.Errorf("the same keys are told as others:\n%s", &w.log)
	}
	w.show("ab", "a")
	x.look()
	x.look()
	w.expect("a:Valid", x, y)
	if !strings.Contains(w.log.String(), "ta_update.cb_unmanagedkey_change: no such thing") {
		t.Errorf("the log lacks the script's error:\n%s", &w.log)
	}
	if n := strings.Count(w.log.String(), "the keys of . have changed"); n != 1 || len(x.calls) != 1 || x.calls[0] != w.path || len(y.calls) != 0 {
		t.Errorf("told %d times, to scripts %v and %v:\n%s", n, x.calls, y.calls, &w.log)
	}
	if text, err := os.ReadFile(w.path); err != nil || strings.Contains(string(text), "DNSKEY") {
		t.Errorf("a read-only file was written: %s, %v", text, err)
	}
	x.store.Remove("\x00")
	x.f.sync()
	if x.followed() {
		t.Error("a zone without anchors is watched")
	}
}

// Keys that were fetched are looked at at once, others after a while, which is not
// longer than the time between two looks.
func TestTheFirstLook(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	z := x.zone()
	if z.delay(true) != 0 || z.delay(false) != 10*time.Second {
		t.Errorf("%v, %v", z.delay(true), z.delay(false))
	}
	x.store.SetTiming(func(o *trustanchor.Timing) { o.Refresh = time.Second })
	if z.delay(false) != time.Second {
		t.Errorf("%v, where each second is looked", z.delay(false))
	}
}

func TestOptions(t *testing.T) {
	x := newWorld(t).worker()
	for _, tc := range []struct {
		key   string
		value any
		want  any
		fails bool
	}{
		{"hold_down_time", nil, nil, true}, {"hold_down_time", 5000.0, 5000.0, false}, {"hold_down_time", "x", nil, true}, {"hold_down_time", -1.0, nil, true},
		{"refresh_time", 10000.0, 10000.0, false}, {"refresh_time", nil, nil, false}, {"refresh_time", true, nil, true},
		{"keep_removed", 3.0, 3.0, false}, {"keep_removed", nil, nil, true}, {"cb_unmanagedkey_change", "function", "function", false},
		{"cb_unmanagedkey_change", 5.0, nil, true}, {"cb_unmanagedkey_change", nil, nil, false}, {"what", 1.0, nil, true},
	} {
		err := x.f.set(tc.key, tc.value)
		if (err != nil) != tc.fails {
			t.Errorf("%s = %v: %v", tc.key, tc.value, err)
		}
		if got, _ := x.f.get(tc.key); !tc.fails && got != tc.want {
			t.Errorf("%s = %v: %v", tc.key, tc.value, got)
		}
	}
	if got := x.store.Timing(); got.HoldDown != 5*time.Second || got.KeepRemoved != 3 || got.Refresh != 0 {
		t.Errorf("%+v", got)
	}
}
