package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/rpz"
	"kresd/internal/rules"
	"kresd/internal/textfile"
	"kresd/internal/wire"
)

// listed are rules with lists, and what was said about these.
type listed struct {
	*loaded
	mu      sync.Mutex
	said    []string
	changes int
}

func newListed(t *testing.T) *listed {
	r := &listed{loaded: newRules(t)}
	say := func(line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.said = append(r.said, line)
	}
	r.Lists = NewLists(Files{Latest: textfile.Disk, InForce: textfile.Disk, Warn: say, Notice: say, Changed: func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changes++
	}})
	return r
}

// told is what was said, and forgets it.
func (r *listed) told() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := strings.Join(r.said, "\n")
	r.said = nil
	return text
}

// add puts a rule in force.
func (r *listed) add(path string, watch bool) *rules.List {
	r.t.Helper()
	list, err := r.Lists.RPZ(path, watch, false)
	if err != nil {
		r.t.Fatal(err)
	}
	r.on(rules.Listed(list), rules.Refuse())
	return list
}

// refuses tells whether a name is on a list whose rule refuses.
func (r *listed) refuses(name string) bool {
	req, _ := r.ask(name, wire.TypeA)
	return req.Result.Rcode == wire.RcodeRefused
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// However a file is replaced, what is in it then is in force, and what is no list is not.
func TestListsAreReadAgainWhenTheirFileChanges(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "a.example CNAME .\n")
	r.add(path, true)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Lists.Watch(ctx); close(ended) }()
	defer func() { end(); <-ended }()
	eventually(t, "the directory is watched", r.Lists.watch.Seeing)

	write(t, path, "longer.example CNAME .\n") // in place
	eventually(t, "the second list", func() bool { return r.refuses("longer.example") && !r.refuses("a.example") })
	write(t, path+".new", "c.example CNAME .\nd..example CNAME .\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the third list", func() bool { return r.refuses("c.example") && !r.refuses("longer.example") })
	eventually(t, "who is told of changes", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.changes >= 2 })
	if said := r.told(); !strings.Contains(said, path+":2: 'd..example': empty label; the record is skipped") || !strings.Contains(said, path+": 1 names are in force") {
		t.Errorf("told:\n%s", said)
	}
	for what, text := range map[string]string{
		"there is no record in it that could be used": "", "there is no record in it that could be used (line 1: no type and data)": "<html>no list</html>\n<p>\n",
	} {
		write(t, path, text)
		var said string
		eventually(t, what, func() bool {
			said += r.told()
			return strings.Contains(said, what+"; the list that was read before stays in force")
		})
		if !r.refuses("c.example") {
			t.Errorf("%s: the list that was read before is not in force", what)
		}
		r.Lists.Look() // says nothing twice
		if said := r.told(); said != "" {
			t.Errorf("told again: %s", said)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	var said string
	eventually(t, "a file that is gone", func() bool { said += r.told(); return strings.Contains(said, "no such file") })
	write(t, path, "e.example CNAME .\n")
	eventually(t, "the list that came back", func() bool { return r.refuses("e.example") })
}

func TestListsThatAreNotWatchedAreReadAtAReload(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "a.example CNAME .\n")
	r.add(path, false)
	write(t, path, "bb.example CNAME .\n")
	r.Lists.Look()
	if !r.refuses("a.example") {
		t.Error("a list that is not watched was read")
	}
	apply, err := r.inst.Reread()
	if err != nil {
		t.Fatal(err)
	}
	if !r.refuses("a.example") {
		t.Error("a list is in force before it is to be")
	}
	if apply(); !r.refuses("bb.example") || r.refuses("a.example") {
		t.Error("the list that was read again is not in force")
	}
	write(t, path, "")
	if _, err := r.inst.Reread(); !errors.Is(err, errNothing) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestFilesThatAreNoListAreRefused(t *testing.T) {
	r, dir := newListed(t), t.TempDir()
	fifo, words := filepath.Join(dir, "fifo"), filepath.Join(dir, "words")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, words, "one.example\ntwo.example\n")
	for path, want := range map[string]string{
		fifo: "not a regular file", dir: "not a regular file", "/dev/zero": "not a regular file", filepath.Join(dir, "absent"): "no such file",
		words: "there is no record in it that could be used (line 1: no type and data)",
	} {
		if _, err := r.Lists.RPZ(path, true, false); err == nil || !strings.Contains(err.Error(), "policy.rpz: "+path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if len(r.Lists.watched()) != 0 {
		t.Errorf("watched are %v", r.Lists.watched())
	}
}

// A file that is refused for its length has no room made for what it would say.
func TestAFileThatIsTooLargeCostsNothing(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "")
	if err := os.Truncate(path, limits.ListFile+1); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := r.Lists.RPZ(path, true, false); !errors.Is(err, rpz.ErrFileSize) {
		t.Error(err)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > limits.ListFile/16 {
		t.Errorf("%d octets were allocated", after.TotalAlloc-before.TotalAlloc)
	}
}

func TestWrongRecordsAreToldOneByOneAndThenCounted(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "a.example CNAME .\n"+strings.Repeat("b..example CNAME .\n", 50))
	r.add(path, true)
	if said := r.told(); strings.Count(said, "\n") != 20 || !strings.Contains(said, path+": 30 more records are wrong and skipped") {
		t.Errorf("told:\n%s", said)
	}
	write(t, path, "a.example CNAME .\n")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	r.add(path, true)
	if said := r.told(); !strings.Contains(said, "everybody on this machine may write the file") {
		t.Errorf("told: %s", said)
	}
}

// A list that no rule has any more is not read again.
func TestListsThatNobodyHasAreForgotten(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "a.example CNAME .\n")
	for range 5 {
		if _, err := r.Lists.RPZ(path, true, false); err != nil {
			t.Fatal(err)
		}
	}
	kept := r.add(path, true)
	eventually(t, "all but one are forgotten", func() bool { runtime.GC(); return len(r.Lists.watched()) == 1 })
	runtime.KeepAlive(kept)
}

// What the actions of a list come to.
func TestActionsOfAList(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "given.test CNAME .\nnodata.test CNAME *.\npass.test CNAME rpz-passthru.\ndrop.test CNAME rpz-drop.\ntcp.test CNAME rpz-tcp-only.\n"+
		"$ORIGIN data.test.\n@ 60 A 192.0.2.1\n@ MX 10 mail\n*.data.test. TXT x\n")
	for _, noData := range []bool{false, true} {
		list, err := r.Lists.RPZ(path, true, noData)
		if err != nil {
			t.Fatal(err)
		}
		e := r.on(rules.Listed(list), rules.Refuse())
		nodata := map[bool]string{false: "rcode 5, 0/0/0", true: "rcode 0, 0/1/0 aa"}[noData]
		for _, c := range []struct {
			name  string
			qtype uint16
			want  string
		}{
			{"given.test", wire.TypeA, "rcode 5, 0/0/0"}, {"nodata.test", wire.TypeA, nodata}, {"x.given.test", wire.TypeA, "rcode 3, 0/1/1 aa"},
			{"pass.test", wire.TypeA, "resolve"}, {"drop.test", wire.TypeA, "fail"}, {"tcp.test", wire.TypeA, "rcode 0, 0/0/0 tc"},
			{"data.test", wire.TypeA, "rcode 0, 1/0/0 aa \xc0\x00\x02\x01"}, {"data.test", wire.TypeMX, "rcode 0, 1/0/0 aa \x00\x0a\x04mail\x04data\x04test\x00"},
			{"data.test", wire.TypeAAAA, "rcode 0, 0/1/0 aa"}, {"x.y.data.test", wire.TypeTXT, "rcode 0, 1/0/0 aa \x01x"},
		} {
			req, state := r.ask(c.name, c.qtype)
			got := told(req, state)
			for _, set := range req.Result.Answer {
				got += " " + string(bytes.Join(set.Data, nil))
			}
			if got != c.want {
				t.Errorf("%s type %d: %q, want %q", c.name, c.qtype, got, c.want)
			}
		}
		if text := e.Rule.Text(); text != "policy.rpz(policy.REFUSE, '"+path+"')" {
			t.Errorf("the rule reads %s", text)
		}
		r.Delete(e.ID)
	}
}

// A file that has lost its records takes nothing out of force, and none begins without any.
func TestAListWithoutAnyRecordReplacesNothing(t *testing.T) {
	for what, text := range map[string]string{
		"no octets": "", "comments": "; nothing yet\n\n", "the head of a zone": "$TTL 300\n@ SOA a. b. 1 2 3 4 5\n NS a.\n",
	} {
		r, path := newListed(t), filepath.Join(t.TempDir(), "list")
		write(t, path, text)
		if _, err := r.Lists.RPZ(path, true, false); !errors.Is(err, errNothing) {
			t.Errorf("%s, at the start: %v", what, err)
		}
		write(t, path, "a.example CNAME .\n")
		r.add(path, true)
		write(t, path, text)
		r.Lists.Look()
		if said := r.told(); !strings.Contains(said, errNothing.Error()+"; the list that was read before stays in force") || !r.refuses("a.example") {
			t.Errorf("%s, when it changes: told %q, and a.example is refused: %t", what, said, r.refuses("a.example"))
		}
		if _, err := r.inst.Reread(); !errors.Is(err, errNothing) {
			t.Errorf("%s, at a reload: %v", what, err)
		}
	}
}

// The names in data are relative to an origin that is known, or an error.
func TestDataBelowAWrongOriginAreSkipped(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "a.test. MX 10 mail\n$ORIGIN x..\nb.test. MX 10 mail\nc.test. MX 10 mail.c.test.\n")
	list := r.add(path, true)
	if said := r.told(); list.Listing().Len() != 2 || !strings.HasPrefix(said, "policy.rpz: "+path+":2: $ORIGIN: ") || !strings.Contains(said, path+":3: ") || strings.Contains(said, path+":4: ") {
		t.Errorf("%d names, told:\n%s", list.Listing().Len(), said)
	}
}

// What a reload has read is in force when the reload is done, and not before: one that fails
// for another reason leaves the change to be seen.
func TestAReloadThatIsNotDoneForgetsNoChange(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "a.example CNAME .\n")
	r.add(path, true)
	write(t, path, "longer.example CNAME .\n")
	if _, err := r.inst.Reread(); err != nil { // and nothing comes of it
		t.Fatal(err)
	}
	if r.Lists.Look(); !r.refuses("longer.example") {
		t.Error("the file that has changed is not read again")
	}
}

// A list that came into force while a reload was under way stays.
func TestAReloadPutsNoOlderListInForce(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	write(t, path, "a.example CNAME .\n")
	r.add(path, true)
	write(t, path, "older.example CNAME .\n")
	apply, err := r.inst.Reread()
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "the-newest.example CNAME .\n")
	r.Lists.Look()
	if apply(); !r.refuses("the-newest.example") || r.refuses("older.example") {
		t.Error("the older list is in force")
	}
	write(t, path, "b.example CNAME .\n")
	if apply, err = r.inst.Reread(); err != nil {
		t.Fatal(err)
	}
	write(t, path, "")
	r.Lists.Look()
	r.told()
	if apply(); !r.refuses("b.example") {
		t.Error("a file that is broken later keeps away what the reload has read")
	}
	if r.Lists.Look(); r.told() != "" {
		t.Error("the broken file is told twice")
	}
	write(t, path, "cc.example CNAME .\n")
	if apply, err = r.inst.Reread(); err != nil {
		t.Fatal(err)
	}
	apply()
	if r.Lists.Look(); r.told() != "" || !r.refuses("cc.example") {
		t.Error("what a reload has read is read again")
	}
}

// A large list is in force before the memory is given back in which it was made.
func TestALargeListDoesNotWaitForMemoryToBeGivenBack(t *testing.T) {
	r, path := newListed(t), filepath.Join(t.TempDir(), "list")
	freed := 0
	r.Lists.free = func() { freed++ }
	large := func(first string) string { return first + " CNAME .\n" + numbered(limits.ListOnHeap/20) }
	write(t, path, large("a.example"))
	r.add(path, true)
	if freed != 1 {
		t.Errorf("memory was given back %d times after the first list", freed)
	}
	for i, put := range []func(){r.Lists.Look, func() {
		apply, err := r.inst.Reread()
		if err != nil {
			t.Fatal(err)
		}
		apply()
	}} {
		first := strings.Repeat("x", i+2) + ".example"
		write(t, path, large(first))
		freed = 0
		r.Lists.free = func() {
			if freed++; !r.refuses(first) {
				t.Errorf("way %d: memory is given back before the list is in force", i)
			}
		}
		if put(); freed != 1 {
			t.Errorf("way %d: memory was given back %d times", i, freed)
		}
	}
	r.Lists.Look()
	if freed != 1 {
		t.Error("memory is given back though nothing was read")
	}
}

// numbered are that many lines with a name each.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "n%d.example CNAME .\n", i)
	}
	return b.String()
}
