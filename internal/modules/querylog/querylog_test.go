package querylog

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/metrics"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// fixture is the module as a worker has it.
type fixture struct {
	*testing.T
	*module.Instance
	mu    sync.Mutex
	warns []string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	inst, err := Module().Open(&module.Host{
		Clock: &clock.NewFake(time.Unix(1e9, 5000)).Clock, Tasks: &safe.Group{}, Context: ctx, Metrics: &metrics.Registry{},
		Warn: func(line string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.warns = append(f.warns, line)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Instance = inst
	t.Cleanup(inst.Close)
	return f
}

// config is a table of options.
func config(kv ...any) *luavalue.Table {
	t := &luavalue.Table{}
	for i := 0; i < len(kv); i += 2 {
		t.Add(kv[i], kv[i+1])
	}
	return t
}

func (f *fixture) configure(kv ...any) {
	f.Helper()
	if err := f.Config(config(kv...)); err != nil {
		f.Fatal(err)
	}
}

// stat is a figure of the module.
func (f *fixture) stat(name string) float64 {
	out, err := f.Functions[0].Fn(nil)
	if err != nil {
		f.Fatal(err)
	}
	return out[0].(*luavalue.Table).Get(name).(float64)
}

func (f *fixture) eventually(what string, cond func() bool) {
	f.Helper()
	for range 2000 {
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.Fatalf("still not: %s; written %v, failed %v, dropped %v", what, f.stat("written"), f.stat("failed"), f.stat("dropped"))
}

// answered is what became of a question for a name in wire form.
func answered(name string, rcode byte) *module.Answered {
	msg := make([]byte, wire.HeaderLen)
	msg[3] = rcode
	return &module.Answered{
		Question: &wire.Question{Name: []byte(name), Type: wire.TypeAAAA, Class: wire.ClassIN}, Msg: msg, EDE: ede.None,
		Client: netip.MustParseAddrPort("[::ffff:192.0.2.7]:4711"),
	}
}

// resolved is answered on the driver's way.
func resolved(a *module.Answered, change func(*resolve.Result)) *module.Answered {
	a.Request = &resolve.Request{Result: resolve.Result{EDE: ede.None}}
	a.Took = 1500 * time.Microsecond
	if change != nil {
		change(&a.Request.Result)
	}
	return a
}

func lines(t *testing.T, path string) (all []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, m)
	}
	return all
}

// The fields of lines about both ways are these and no others.
func TestLines(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "log")
	f.configure("file", path, "clients", true)
	tally := f.NewTally()
	tally.Answered(answered("\x03www\x07example\x00", wire.RcodeNoError))
	f.eventually("the first line is there", func() bool { return f.stat("written") == 1 })
	f.Observe(resolved(answered("\x04\"\x0a\xff\\\x00", wire.RcodeServFail), func(r *resolve.Result) { r.EDE, r.EDEText = ede.NetworkError, "no \"way\"\n\u2028" }))
	f.eventually("the second line is there", func() bool { return f.stat("written") == 2 })
	dropped := answered("\x00", 0)
	dropped.Msg, dropped.Decided, dropped.EDE, dropped.Transport.Kind = nil, true, ede.Prohibited, transport.TCP
	tally.Answered(dropped)
	f.eventually("the third line is there", func() bool { return f.stat("written") == 3 })
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"ts":"2001-09-09T01:46:40.000005Z","group":"querylog","qname":"www.example.","qtype":"AAAA","rcode":"NOERROR","dur":0.000000,"proto":"udp","cached":true,"blocked":false,"client":"192.0.2.7"}
{"ts":"2001-09-09T01:46:40.000005Z","group":"querylog","qname":"\\\"\\010\\255\\\\.","qtype":"AAAA","rcode":"SERVFAIL","dur":0.001500,"proto":"udp","cached":false,"blocked":false,"client":"192.0.2.7","ede":23,"why":"no \"way\"\u000a\u2028"}
{"ts":"2001-09-09T01:46:40.000005Z","group":"querylog","qname":".","qtype":"AAAA","rcode":null,"dur":0.000000,"proto":"tcp","cached":false,"blocked":true,"client":"192.0.2.7","ede":18}
`
	if string(text) != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	if n := len(lines(t, path)); n != 3 {
		t.Errorf("%d lines", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o027 != 0 {
		t.Errorf("mode %v, %v: others may not read it", info.Mode(), err)
	}
}

// What is wanted is written, and who asked only where that is wanted.
func TestWhatIsWanted(t *testing.T) {
	for which, want := range map[string]string{"all": "a. b. c. d.", "failed": "b. d.", "blocked": "c. d."} {
		f := newFixture(t)
		path := filepath.Join(t.TempDir(), "log")
		f.configure("which", which, "file", path)
		tally := f.NewTally()
		tally.Answered(answered("\x01a\x00", wire.RcodeNXDomain))
		tally.Answered(answered("\x01b\x00", wire.RcodeServFail))
		blockedOne := answered("\x01c\x00", wire.RcodeNXDomain)
		blockedOne.Decided, blockedOne.EDE = true, ede.Blocked
		tally.Answered(blockedOne)
		silent := answered("\x01d\x00", 0)
		silent.Msg, silent.Decided, silent.EDE = nil, true, ede.Prohibited
		tally.Answered(silent)
		f.eventually("all lines are there", func() bool { return int(f.stat("written")) == len(strings.Fields(want)) })
		var got []string
		for _, line := range lines(t, path) {
			got = append(got, line["qname"].(string))
			if _, told := line["client"]; told {
				t.Errorf("%v tells who asked", line)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", which, got, want)
		}
	}
}

func TestOneInSoManyIsWritten(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "log")
	f.configure("sample", 10.0, "file", path)
	tally := f.NewTally()
	for range 1000 {
		tally.Answered(answered("\x01a\x00", 0))
	}
	f.eventually("a hundred are written", func() bool { return f.stat("written") == 100 })
	if l := lines(t, path)[0]; l["sample"] != 10.0 {
		t.Errorf("%v does not say that it stands for ten", l)
	}
}

// A file that is renamed is left alone, and a new one is begun.
func TestRotation(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "log")
	f.configure("file", path)
	tally := f.NewTally()
	tally.Answered(answered("\x01a\x00", 0))
	f.eventually("the first is written", func() bool { return f.stat("written") == 1 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	f.eventually("there is a new file", func() bool {
		tally.Answered(answered("\x01b\x00", 0))
		_, err := os.Stat(path)
		return err == nil
	})
	f.eventually("it has a line", func() bool { return len(lines(t, path)) > 0 })
	if old := lines(t, path+".1"); old[0]["qname"] != "a." {
		t.Errorf("the file that was renamed has %v", old)
	}
}

// Datagrams go to a socket, to another one when that was made again, and those that
// nobody takes are counted.
func TestSocket(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "s")
	f.configure("socket", path)
	tally := f.NewTally()
	tally.Answered(answered("\x01a\x00", 0))
	f.eventually("the first is lost", func() bool { return f.stat("failed") == 1 })
	for range 2 {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		tally.Answered(answered("\x01b\x00", 0))
		got := make([]byte, 1000)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := conn.Read(got)
		if err != nil || !json.Valid(got[:n]) || !strings.Contains(string(got[:n]), `"qname":"b."`) {
			t.Errorf("got %q, %v", got[:n], err)
		}
		conn.Close()
		_ = os.Remove(path)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.warns) != 1 || !strings.HasPrefix(f.warns[0], "querylog: socket '"+path+"': ") {
		t.Errorf("the log has %q", f.warns)
	}
}

// A receiver that stopped reading costs lines and no question waits: that all are put
// in is the test, for each would wait forever.
func TestNobodyWaitsForAReceiver(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f.configure("socket", path)
	tally := f.NewTally()
	const many = 100_000
	for range many {
		tally.Answered(answered("\x3f"+strings.Repeat("x", 63)+"\x00", 0))
	}
	if f.stat("dropped") == 0 {
		t.Error("nothing was dropped though nobody reads")
	}
	f.eventually("all are accounted for", func() bool { return f.stat("written")+f.stat("failed")+f.stat("dropped") == many })
}

func TestWrongOptions(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		value any
		want  string
	}{
		{"x", "a table expected"},
		{config(), "where to?"},
		{config("file", "/nosuch/log"), "nothing can be written in '/nosuch'"},
		{config("file", "a", "journal", true), "not several"},
		{config("journal", false), "journal is true"},
		{config("file", 5.0), "a path expected"},
		{config("socket", strings.Repeat("x", 108)), "107 octets"},
		{config("file", "log", "which", "some"), "which is one of 'all', 'failed', 'blocked'"},
		{config("file", "log", "sample", 0.0), "a whole number from 1"},
		{config("file", "log", "clients", 1.0), "true or false expected"},
		{config("fiel", "log"), "there is no option 'fiel'"},
		{config(1.0, "log"), "there is no option ''"},
	} {
		if err := f.Config(c.value); err == nil || !strings.HasPrefix(err.Error(), "querylog: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.value, err, c.want)
		}
	}
	if err := f.Config(nil); err != nil {
		t.Error(err)
	}
}

// A ring loses what it has no room for and nothing else, and keeps the order, whatever
// the lengths of records are.
func TestRing(t *testing.T) {
	r := newRing(1000)
	const many = 200_000
	var got, bad int
	var waiting sync.WaitGroup
	ended := make(chan struct{})
	waiting.Go(func() {
		last := -1
		use := func(rec []byte) {
			n := int(rec[4]) | int(rec[5])<<8 | int(rec[6])<<16
			if n <= last {
				bad++
			}
			for _, c := range rec[8:] {
				if c != byte(n) {
					bad++
				}
			}
			last = n
			got++
		}
		for {
			select {
			case <-ended:
				r.take(use)
				return
			default:
				r.take(use)
			}
		}
	})
	for i := range many {
		if rec := r.room(8 + i%97); rec != nil {
			rec[4], rec[5], rec[6] = byte(i), byte(i>>8), byte(i>>16)
			for j := range rec[8:] {
				rec[8+j] = byte(i)
			}
			r.put()
		}
	}
	close(ended)
	waiting.Wait()
	if lost := int(r.lost.Load()); bad > 0 || got+lost != many || got == 0 {
		t.Errorf("%d of %d came, %d were lost, %d are wrong", got, many, lost, bad)
	}
}

func TestRecordsSurvive(t *testing.T) {
	long := "\x3f" + strings.Repeat("a", 63) + "\x3f" + strings.Repeat("b", 63) + "\x3f" + strings.Repeat("c", 63) + "\x3d" + strings.Repeat("d", 61) + "\x00"
	for _, e := range []entry{
		{name: []byte("\x00"), ede: ede.None},
		{
			name: []byte(long), why: strings.Repeat("w", 300), qtype: 0xfffe, rcode: 0xfff, ede: ede.Blocked, took: time.Hour, at: time.Unix(5, 7),
			flags: hasClient | wasCached, client: netip.MustParseAddr("2001:db8::1"), transport: transport.At(transport.Count - 1),
		},
	} {
		rec := make([]byte, e.size())
		e.write(rec)
		var got entry
		got.read(rec)
		e.why = e.why[:min(len(e.why), 255)]
		if !e.client.IsValid() {
			e.client = got.client
		}
		e.at, got.at = e.at.UTC(), got.at.UTC()
		if e.at.IsZero() {
			e.at = got.at
		}
		if fmt.Sprint(got) != fmt.Sprint(e) {
			t.Errorf("got %v, want %v", got, e)
		}
	}
}

func TestNotingAllocatesNothing(t *testing.T) {
	f := newFixture(t)
	f.configure("file", filepath.Join(t.TempDir(), "log"), "clients", true)
	tally, a := f.NewTally(), answered("\x03www\x07example\x00", 0)
	if n := testing.AllocsPerRun(100, func() { tally.Answered(a) }); n >= 1 { // the writer's are among them
		t.Logf("%v allocations, with those of the writer", n)
	}
	q := newQueryLog(&module.Host{Clock: clock.Real()})
	q.options.Store(&options{sample: 1, clients: true})
	alone := q.newTally()
	if n := testing.AllocsPerRun(1000, func() { alone.Answered(a) }); n != 0 {
		t.Errorf("%v allocations for a question", n)
	}
}

func BenchmarkNote(b *testing.B) {
	q := newQueryLog(&module.Host{Clock: clock.Real()})
	q.options.Store(&options{sample: 1, clients: true})
	r, a, seen := newRing(1<<20), answered("\x03www\x07example\x03com\x00", 0), uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		q.note(a, r, &seen)
		r.take(func([]byte) {})
	}
}

func BenchmarkLine(b *testing.B) {
	e := entryOf(answered("\x03www\x07example\x03com\x00", 0))
	e.at, e.flags = time.Now(), e.flags|hasClient
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = e.appendLine(buf[:0], 1)
	}
}

// A thread that never pauses does not keep the lines of the others from being written.
func TestABusyThreadStarvesNoOther(t *testing.T) {
	q := newQueryLog(&module.Host{Clock: clock.Real()})
	q.options.Store(&options{sample: 1})
	busy, other := q.newTally().(*tally), q.newTally().(*tally)
	busy.Answered(answered("\x04busy\x00", 0))
	other.Answered(answered("\x05other\x00", 0))
	var e entry
	for range 100 {
		seen := false
		q.drain(func(rec []byte) {
			e.read(rec)
			if string(e.name) == "\x05other\x00" {
				seen = true
				return
			}
			busy.Answered(answered("\x04busy\x00", 0))
		})
		if seen {
			return
		}
	}
	t.Error("the other thread's question was never reached")
}

// What is too long for a datagram costs itself alone.
func TestALineThatIsTooLongIsLostAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := &batch{}
	for _, line := range []string{"first", strings.Repeat("x", 16<<20), "last"} {
		b.text = append(append(b.text, line...), '\n')
		b.ends = append(b.ends, len(b.text))
	}
	d := &datagrams{path: path, frame: func(line []byte) []byte { return line }}
	defer d.close()
	if n, err := d.write(b); n != 2 || err == nil {
		t.Errorf("%d of 2 lines were written, %v", n, err)
	}
	for _, want := range []string{"first", "last"} {
		got := make([]byte, 100)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := conn.Read(got); string(got[:n]) != want {
			t.Errorf("got %q, %v, want %q", got[:n], err, want)
		}
	}
}

// The memory of a ring is taken by the first question that is logged.
func TestNobodyPaysForALogThatIsNotWanted(t *testing.T) {
	q := newQueryLog(&module.Host{Clock: clock.Real()})
	idle := q.newTally().(*tally)
	idle.Answered(answered("\x01a\x00", 0))
	if idle.ring.buf != nil {
		t.Error("a ring took its memory without a configuration")
	}
}

// A counting sink counts what it is given, and takes a while for it, as a file does.
type counting struct{ writes, lines, octets atomic.Int64 }

func (c *counting) write(b *batch) (int, error) {
	time.Sleep(time.Microsecond)
	c.writes.Add(1)
	c.lines.Add(int64(len(b.ends)))
	c.octets.Add(int64(len(b.text)))
	return len(b.ends), nil
}

func (c *counting) close() {}

// Questions that come one after the other without a pause are written together, not each by
// a write of its own.
func TestAFloodIsWrittenTogether(t *testing.T) {
	q := newQueryLog(&module.Host{Clock: clock.Real()})
	o := options{sample: 1}
	q.options.Store(&o)
	out, w := &counting{}, newWriter(q)
	w.out, w.opened = out, o
	begun := time.Now()
	go w.run()
	flood, sent := q.newTally(), int64(0)
	for at := begun; at.Sub(begun) < 300*time.Millisecond; sent++ {
		flood.Answered(answered("\x05flood\x00", 0))
		for last := at; at.Sub(last) < 10*time.Microsecond; {
			at = time.Now()
		}
	}
	w.end(20 * time.Second)
	most := int64(time.Since(begun)/limits.QueryLogPause) + out.octets.Load()/limits.QueryLogBatch + 2
	if n := out.writes.Load(); n > most || out.lines.Load() != sent {
		t.Errorf("%d of %d questions were written by %d writes, want at most %d", out.lines.Load(), sent, n, most)
	}
}

// What would end a line or move a cursor is written by its number, and its neighbours as they
// are.
func TestTextsOfJSON(t *testing.T) {
	got := string(appendText(nil, "\x00\x1f ~\x7f\u0080\u009f\u00a0\u2027\u2028\u2029\u202aü\"\\"))
	if want := `"\u0000\u001f ~\u007f\u0080\u009f` + "\u00a0\u2027" + `\u2028\u2029` + "\u202aü" + `\"\\"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if e := (&entry{name: []byte("\x05bad")}); e.question() != "?" {
		t.Errorf("a name that is none is %q", e.question())
	}
}

// Another configuration is in force for what is written from then on; one that is wrong
// changes nothing. At the end nothing is open.
func TestTheConfigurationChanges(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	f.configure("file", first)
	f.Observe(resolved(answered("\x01a\x00", 0), nil))
	f.eventually("the first line is there", func() bool { return f.stat("written") == 1 })
	f.configure("file", second)
	if err := f.Config(config("file", first, "sample", 0.0)); err == nil {
		t.Error("a mistake is taken")
	}
	for range 2 {
		f.Observe(resolved(answered("\x01b\x00", 0), nil))
	}
	f.eventually("the others are there", func() bool { return f.stat("written") == 3 })
	wantLines := func(path string, want ...string) {
		t.Helper()
		var got []string
		for _, l := range lines(t, path) {
			got = append(got, l["qname"].(string))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s has lines about %v, want %v", filepath.Base(path), got, want)
		}
	}
	wantLines(first, "a.")
	wantLines(second, "b.", "b.")
	if n := openFiles(t, dir); n != 1 {
		t.Errorf("%d files are open", n)
	}
	if f.Close(); openFiles(t, dir) != 0 {
		t.Errorf("%d files are open at the end", openFiles(t, dir))
	}
}

// A thread that ends is forgotten without another question.
func TestAThreadThatEndsIsForgotten(t *testing.T) {
	var tasks safe.Group
	q := newQueryLog(&module.Host{Clock: clock.Real(), Tasks: &tasks, Context: t.Context(), Warn: func(string) {}})
	if err := q.configure(config("file", filepath.Join(t.TempDir(), "log"))); err != nil {
		t.Fatal(err)
	}
	defer q.close()
	q.newTally().(*tally).Close()
	f := &fixture{T: t, Instance: &module.Instance{Functions: []module.Function{module.Call0("stats", func() ([]any, error) { return []any{q.table()}, nil })}}}
	f.eventually("it is forgotten", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.rings) == 1
	})
}

// What is written at once is bounded, however much waits.
func TestBatchesAreBounded(t *testing.T) {
	q := newQueryLog(&module.Host{Clock: clock.Real()})
	o := options{sample: 1}
	q.options.Store(&o)
	w := newWriter(q)
	var longest, writes int
	w.out, w.opened = sinkFunc(func(b *batch) (int, error) {
		longest, writes = max(longest, len(b.text)), writes+1
		return len(b.ends), nil
	}), o
	const many = 2000 // of more than 100 octets each
	for range many {
		q.observe(resolved(answered("\x01a\x00", 0), nil))
	}
	if !w.round() || q.counts() != (counts{written: many}) {
		t.Errorf("%+v of %d", q.counts(), many)
	}
	if longest < limits.QueryLogBatch || longest > limits.QueryLogBatch+1000 {
		t.Errorf("%d octets were written at once, want %d and the rest of a line", longest, limits.QueryLogBatch)
	}
	before := writes
	if w.round() || writes != before {
		t.Errorf("when all is written there is something, or %d writes of nothing", writes-before)
	}
}

// sinkFunc is a sink that a function is.
type sinkFunc func(*batch) (int, error)

func (f sinkFunc) write(b *batch) (int, error) { return f(b) }
func (sinkFunc) close()                        {}

// The log is told why nothing can be written.
func TestWhyNothingIsWritten(t *testing.T) {
	f := newFixture(t)
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "log")
	f.configure("file", path)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	f.Observe(resolved(answered("\x01a\x00", 0), nil))
	f.eventually("it has failed", func() bool { return f.stat("failed") == 1 })
	f.eventually("the log is told", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.warns) == 1 && f.warns[0] == "querylog: file '"+path+"': no such file or directory"
	})
}
