package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// A signedRoot is a root server whose keys change as a test says, in a time that the
// test moves.
type signedRoot struct {
	t      *testing.T
	net    *authority.Internet
	offset string // the file that moves the clock

	mu        sync.Mutex
	days      int
	published []*authority.Key
	signing   []*authority.Key
}

const rootServer = "127.53.30.1"

func newSignedRoot(t *testing.T) *signedRoot {
	t.Helper()
	n, err := authority.New(authority.MustParse(".", ". 86400 IN SOA a.root. host. 1 3600 600 86400 60\n. 86400 IN NS a.root.\na.root. 86400 IN A "+rootServer+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	r := &signedRoot{t: t, net: n, offset: filepath.Join(t.TempDir(), "offset")}
	r.pass(0)
	n.Host(rootServer).Play(authority.Only(dns.TypeDNSKEY, r.answer))
	return r
}

// rootKey is a key of the root, told apart by a letter; a capital is revoked.
func rootKey(letter byte) *authority.Key {
	k := authority.NewKey(".", authority.KSK, dns.ED25519, strings.ToLower(string(letter)))
	return k.With(func(d *dns.DNSKEY) {
		d.Hdr.Ttl = 2 * 86400
		if letter < 'a' {
			d.Flags |= dns.REVOKE
		}
	})
}

func rootKeys(letters string) (list []*authority.Key) {
	for i := range len(letters) {
		list = append(list, rootKey(letters[i]))
	}
	return list
}

// publish has the root show keys, and sign its set with some of them.
func (r *signedRoot) publish(shown, signing string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published, r.signing = rootKeys(shown), rootKeys(signing)
}

// answer is the DNSKEY set.
func (r *signedRoot) answer(x *authority.Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var set []dns.RR
	for _, k := range r.published {
		set = append(set, k.Record())
	}
	now := time.Now().Unix() + int64(r.days)*86400
	x.Reply.Answer, x.Reply.Ns, x.Reply.Authoritative = set, nil, true
	for _, k := range r.signing {
		x.Reply.Answer = append(x.Reply.Answer, k.Sign(set, uint32(now-86400), uint32(now+21*86400), nil))
	}
}

// pass moves the clock.
func (r *signedRoot) pass(days int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.days += days
	if err := os.WriteFile(r.offset+".new", fmt.Appendf(nil, "%+d\n", r.days*86400), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(r.offset+".new", r.offset); err != nil {
		r.t.Fatal(err)
	}
}

// group is the configuration of a group that follows the root's keys in a file.
func (r *signedRoot) group(dir string, workers int) proctest.Config {
	c := proctest.On(r.t, r.net, workers, "trust_anchors.file = 'root.keys'")
	c.Dir = dir
	c.Env = append(c.Env, "KRESD_CLOCK_OFFSET_FILE="+r.offset, "KRESD_CLOCK_OFFSET_TIMERS=1")
	return c
}

// eventually waits until all workers, and the file, have the keys in these states:
// "a:Valid b:AddPend".
func (r *signedRoot) eventually(g *proctest.Group, want string) {
	r.t.Helper()
	var got string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		states := statesIn(filepath.Join(g.Dir, "root.keys"))
		got = "the file: " + states
		all := sameWords(states, want)
		for _, w := range g.Workers() {
			states := named(proctest.Eval(r.t, w.Socket,
				"(function() local s = '' for _, k in ipairs(trust_anchors.keysets['\\0'] or {}) do s = s .. k.key_tag .. ':' .. k.state .. ' ' end return s end)()"))
			got += fmt.Sprintf(", worker %d: %s", w.ID, states)
			all = all && sameWords(states, want)
		}
		if all {
			return
		}
	}
	r.t.Fatalf("day %d: %s; want %s; log:\n%s", r.days, got, want, g.Log())
}

// named puts letters in place of key tags.
func named(text string) string {
	text = strings.TrimSpace(text)
	for _, letter := range []byte("abcABC") {
		text = strings.ReplaceAll(text, fmt.Sprint(rootKey(letter).KeyTag())+":", string(letter)+":")
	}
	return text
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) != len(y) {
		return false
	}
	for _, w := range x {
		if !strings.Contains(" "+b+" ", " "+w+" ") {
			return false
		}
	}
	return true
}

// statesIn reads the states in a key file.
func statesIn(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimPrefix(strings.TrimSpace(line), "; "), " ; ")
		if len(fields) != 3 {
			continue
		}
		state, _, _ := strings.Cut(fields[1], ":")
		words = append(words, named(strings.TrimPrefix(fields[2], "KeyTag:")+":"+state))
	}
	return strings.Join(words, " ")
}

// The keys of the root roll over while two workers follow them, through restarts and
// a worker that is killed: RFC 5011 in simulated time.
func TestTheRootsKeysAreFollowed(t *testing.T) {
	r := newSignedRoot(t)
	r.publish("a", "a")
	dir := proctest.RunDir(t)
	path := filepath.Join(dir, "root.keys")
	if err := os.WriteFile(path, []byte(rootKey('a').DS(dns.SHA256).String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proctest.Start(t, r.group(dir, 2))
	step := func(days int, shown, signing, want string) {
		t.Helper()
		r.publish(shown, signing)
		looks := func() int { return strings.Count(g.Log(), "next refresh for .") }
		before := looks()
		r.pass(days)
		proctest.Eventually(t, 30*time.Second, "somebody looks", func() bool { return looks() > before })
		r.eventually(g, want)
	}
	step(1, "a", "a", "a:Valid")
	step(2, "ab", "a", "a:Valid b:AddPend")
	step(15, "ab", "ab", "a:Valid b:AddPend")

	if status, err := g.Stop(); err != nil || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	if left, _ := filepath.Glob(path + "?*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	g = proctest.Start(t, r.group(dir, 2))
	step(14, "ab", "ab", "a:Valid b:AddPend") // 29 days after it was seen
	step(2, "ab", "ab", "a:Valid b:Valid")

	// The worker that keeps the file is killed; the other one goes on.
	for _, w := range g.Workers() {
		if strings.Contains(descriptors(w.PID), path+".lock") {
			_ = syscall.Kill(w.PID, syscall.SIGKILL)
		}
	}
	proctest.Eventually(t, 20*time.Second, "two workers are there", func() bool { return len(g.Workers()) == 2 })
	step(3, "Ab", "Ab", "A:Revoked b:Valid")
	step(3, "b", "b", "A:Revoked b:Valid")
	step(31, "b", "b", "b:Valid")
	step(3, "bc", "b", "b:Valid c:AddPend")
	step(31, "bc", "bc", "b:Valid c:Valid")
	step(3, "c", "c", "b:Missing c:Valid")
	step(3, "bc", "c", "b:Valid c:Valid")
	for _, line := range []string{
		fmt.Sprintf("[ ta ] key: %d state: Revoked", rootKey('A').KeyTag()), fmt.Sprintf("[ ta ] key: %d state: Missing", rootKey('b').KeyTag()),
		"[ ta ] next refresh for . in 24 hours",
	} {
		proctest.Eventually(t, 10*time.Second, "the log has "+line, func() bool { return strings.Contains(g.Log(), line) })
	}
}

// descriptors are the files that a process has open.
func descriptors(pid int) string {
	var names []string
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	for _, e := range entries {
		if name, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name())); err == nil {
			names = append(names, name)
		}
	}
	return strings.Join(names, "\n")
}

// What nobody trusted signed changes nothing; a key that revokes itself is trusted no
// more, whoever else signed.
func TestKeysThatNobodyTrustedSignedAreNotTaken(t *testing.T) {
	r := newSignedRoot(t)
	r.publish("ab", "b")
	dir := proctest.RunDir(t)
	if err := os.WriteFile(filepath.Join(dir, "root.keys"), []byte(rootKey('a').DS(dns.SHA256).String()+" ; Valid: ; KeyTag:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proctest.Start(t, r.group(dir, 1))
	r.pass(1)
	proctest.Eventually(t, 20*time.Second, "the keys are refused", func() bool { return strings.Contains(g.Log(), "the keys of . could not be followed") })
	r.publish("Ab", "Ab")
	r.pass(2)
	r.eventually(g, "A:Revoked")
	proctest.Eventually(t, 10*time.Second, "the log says that nothing is trusted", func() bool { return strings.Contains(g.Log(), "no key of . is trusted any more") })
}

// Two groups share a key file, which is written many times a second; whichever worker
// is killed, at whatever instruction, the file is a whole one, somebody goes on
// writing it, and the next worker reads it.
func TestAKeyFileOutlivesItsWriters(t *testing.T) {
	r := newSignedRoot(t)
	r.publish("ab", "ab")
	path := filepath.Join(t.TempDir(), "root.keys")
	if err := os.WriteFile(path, []byte(rootKey('a').DS(dns.SHA256).String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var groups []*proctest.Group
	for range 2 {
		c := proctest.On(t, r.net, 2, fmt.Sprintf("trust_anchors.refresh_time = 10\ntrust_anchors.file = '%s'", path))
		c.Env = append(c.Env, "KRESD_CLOCK_OFFSET_FILE="+r.offset)
		groups = append(groups, proctest.Start(t, c))
	}
	const whole = "a:Valid b:AddPend"
	killed := 0
	for i := range 12 {
		g := groups[i%2]
		var writer []int
		proctest.Eventually(t, 30*time.Second, "all workers are there, and one writes", func() bool {
			writer = nil
			for _, g := range groups {
				for _, w := range g.Workers() {
					if strings.Contains(descriptors(w.PID), path+".lock") {
						writer = append(writer, w.PID)
					}
				}
			}
			return len(writer) == 1 && len(groups[0].Workers()) == 2 && len(groups[1].Workers()) == 2 && sameWords(statesIn(path), whole)
		})
		pid := writer[0]
		if i%4 == 3 {
			pid = g.Worker(t, 1).PID
		} else {
			killed++
		}
		time.Sleep(time.Duration(i) * 700 * time.Microsecond) // anywhere in a write
		_ = syscall.Kill(pid, syscall.SIGKILL)
		if states := statesIn(path); !sameWords(states, whole) {
			t.Fatalf("kill %d left the file with %s", i, states)
		}
	}
	if killed == 0 {
		t.Error("no writer was killed")
	}
	for _, g := range groups {
		if log := g.Log(); strings.Contains(log, "stay in force") || strings.Contains(log, "is not believed") {
			t.Errorf("somebody saw a file that was not whole:\n%s", log)
		}
	}
}

// The manual's example of add_file, to the letter.
func TestTheManualsKeyFile(t *testing.T) {
	c := proctest.On(t, proctest.SmallInternet(t), 1, "modules.unload('ta_update')")
	c.Dir = proctest.RunDir(t)
	const ds = "19036 8 2 49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5"
	if err := os.WriteFile(filepath.Join(c.Dir, "root.key"), []byte(". 165488 IN DS "+ds+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proctest.Start(t, c)
	if got := strings.TrimSpace(g.Eval(t, "trust_anchors.add_file('root.key')")); got != "nil" {
		t.Errorf("the console shows %q", got)
	}
	want := "\n[ ta ] new state of trust anchors for a domain:\n.                       165488  DS      " + ds + "\n[ ta ] key: 19036 state: Valid\n"
	proctest.Eventually(t, 10*time.Second, "the log says what is trusted", func() bool { return strings.Contains(g.Log(), want) })
	if strings.Contains(g.Log(), "were set already") {
		t.Errorf("a replacement of nothing is told:\n%s", g.Log())
	}
	if left, _ := filepath.Glob(filepath.Join(c.Dir, "root.key?*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
