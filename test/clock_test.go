package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// clockWorld is a group whose clock may be set, before a root and a zone whose
// signatures are valid for a while around now.
type clockWorld struct {
	*proctest.Group
	t      *testing.T
	net    *authority.Internet
	anchor string
	offset string
}

func newClockWorld(t *testing.T, off time.Duration, extra ...string) *clockWorld {
	now := time.Now()
	root := authority.MustParse(".", ". 60 IN SOA a.root. host. 1 3600 600 86400 60\n. 60 IN NS a.root.\na.root. 60 IN A 127.53.32.1\n"+
		"ok. 60 IN NS ns.ok.\nns.ok. 60 IN A 127.53.32.2\n")
	ok := authority.MustParse("ok.", "ok. 60 IN SOA ns.ok. host. 1 3600 600 86400 60\nok. 60 IN NS ns.ok.\nns.ok. 60 IN A 127.53.32.2\nwww.ok. 60 IN A 192.0.2.1\n")
	w := &clockWorld{t: t, offset: filepath.Join(t.TempDir(), "offset")}
	var err error
	if w.net, err = authority.New(root, ok); err == nil {
		w.anchor = w.net.Secure(authority.Security{From: uint32(now.Add(-6 * time.Hour).Unix()), Until: uint32(now.Add(6 * time.Hour).Unix())})
		err = w.net.Start(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.net.Close)
	w.set(off)
	c := proctest.On(t, w.net, 1, append([]string{"trust_anchors.add('" + w.anchor + "')"}, extra...)...)
	c.Env = append(c.Env, "KRESD_CLOCK_OFFSET_FILE="+w.offset)
	w.Group = proctest.Start(t, c)
	return w
}

// set makes the clock be off by so much.
func (w *clockWorld) set(off time.Duration) {
	if err := os.WriteFile(w.offset+".new", fmt.Appendf(nil, "%+d\n", off/time.Second), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.offset+".new", w.offset); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // the file is read again after five
}

// judged is RCODE, AD and the code of the extended error of www.ok.
func (w *clockWorld) judged(cd bool) string {
	q := proctest.Query("www.ok", dns.TypeA, 1232)
	q.IsEdns0().SetDo()
	q.CheckingDisabled = cd
	m, err := proctest.Exchange("udp", w.Addr, q)
	if err != nil {
		w.t.Fatal(err)
	}
	text := dns.RcodeToString[m.Rcode]
	if m.AuthenticatedData {
		text += " AD"
	}
	for _, o := range m.IsEdns0().Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			text += fmt.Sprintf(" %d", e.InfoCode)
		}
	}
	return text
}

// A clock that is wrong at the start makes everything fail, is told once, and when it is
// right nothing that failed before fails any longer: not even for the moment that
// failures are remembered, which by a clock that was ahead have yet to come.
func TestAWrongClockAtBoot(t *testing.T) {
	for _, c := range []struct {
		off  time.Duration
		want string
	}{
		{-400 * 24 * time.Hour, "SERVFAIL 8"}, {12 * time.Hour, "SERVFAIL 7"}, {400 * 24 * time.Hour, "SERVFAIL 7"},
	} {
		t.Run(c.off.String(), func(t *testing.T) {
			w := newClockWorld(t, c.off)
			for range 3 {
				if got := w.judged(false); got != c.want && got != c.want+" 13" { // 13: it failed a moment ago
					t.Fatalf("with a wrong clock: %s, want %s", got, c.want)
				}
			}
			if got := w.judged(true); got != "NOERROR" {
				t.Errorf("with a wrong clock and CD=1: %s", got)
			}
			const warning = "detect_time_skew: the clock of this machine seems to be wrong: it shows "
			proctest.Eventually(t, 20*time.Second, "the operator is told", func() bool { return strings.Contains(w.Log(), warning) })
			if !strings.Contains(w.Log(), ", and the root's signatures are valid from "+time.Now().UTC().Add(-6*time.Hour).Format("2006-01-02 15:")) &&
				!strings.Contains(w.Log(), ", and the root's signatures are valid from "+time.Now().UTC().Add(-7*time.Hour).Format("2006-01-02 15:")) {
				t.Errorf("the log does not say when the root's signatures are valid:\n%s", w.Log())
			}
			w.set(0)
			if got := w.judged(false); got != "NOERROR AD" {
				t.Errorf("the clock is right again: %s", got)
			}
			proctest.Eventually(t, 20*time.Second, "the operator is told that all is well", func() bool { return strings.Contains(w.Log(), "validation works again") })
			if got := w.judged(false); got != "NOERROR AD" {
				t.Errorf("afterwards: %s", got)
			}
			if n := strings.Count(w.Log(), warning); n != 1 {
				t.Errorf("the operator was told %d times", n)
			}
		})
	}
}

// The root's servers learn which of its keys are trusted, when these are fetched.
func TestTheRootLearnsWhichKeysAreTrusted(t *testing.T) {
	w := newClockWorld(t, 0)
	if got := w.judged(false); got != "NOERROR AD" {
		t.Fatal(got)
	}
	anchor, err := dns.NewRR(w.anchor)
	if err != nil {
		t.Fatal(err)
	}
	tag := anchor.(*dns.DS).KeyTag
	proctest.Eventually(t, 20*time.Second, "a question for the tags of the trusted keys", func() bool {
		return slices.ContainsFunc(w.net.Host("127.53.32.1").Seen(), func(q dns.Question) bool {
			return strings.EqualFold(q.Name, fmt.Sprintf("_ta-%04x.", tag)) && q.Qtype == dns.TypeNULL
		})
	})
}

// What fails validation is logged once and counted each time.
func TestBogusAnswersAreLoggedAndCounted(t *testing.T) {
	w := newClockWorld(t, 12*time.Hour, "modules.load('bogus_log')")
	for range 3 {
		w.judged(false)
	}
	if n := strings.Count(w.Log(), "DNSSEC validation failure . DNSKEY: signature of . DNSKEY by key "); n != 1 {
		t.Errorf("the failure was logged %d times:\n%s", n, w.Log())
	}
	var n int
	if _, err := fmt.Sscan(w.Eval(t, "local n = 0 for _, e in ipairs(bogus_log.frequent()) do n = n + e.count end return n"), &n); err != nil || n < 3 {
		t.Errorf("counted %d failures (%v)", n, err)
	}
}
