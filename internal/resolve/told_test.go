package resolve_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// told are the kinds of steps that a request is made of; ask changes the request before.
func (w *world) told(name string, change func(*resolve.Request)) (kinds []string, r *resolve.Request) {
	r = w.request(name, "A")
	if change != nil {
		change(r)
	}
	r.Tell = func(_ *resolve.Query, step resolve.Step) {
		kinds = append(kinds, strings.TrimPrefix(fmt.Sprintf("%T", step), "resolve."))
	}
	w.driver.Resolve(w.t.Context(), r)
	return kinds, r
}

// Whoever reads along is told each step of a request: of one that leads by an alias from one
// zone to the next, of one that a module answers, and of those that fail. Nobody needs to
// read along for any of them.
func TestEachStepOfARequestIsTold(t *testing.T) {
	const referral = "CutFound Asking Chosen Replied Referred Asking Chosen Replied Referred"
	for _, c := range []struct {
		what, name string
		change     func(*world)
		request    func(*resolve.Request)
		want       string
	}{
		{"an answer", "www.example.com.", nil, nil, referral + " Asking Chosen Replied Concluded"},
		{"an alias to another zone", "alias.example.com.", nil, nil, referral + " Asking Chosen Replied Concluded AliasFollowed CutFound Asking Chosen Replied Referred Asking Chosen Replied Concluded"},
		{"on the operator's word", "www.example.com.", func(w *world) {
			w.with(&resolve.Layer{Name: "hints", Own: func(_ *resolve.Request, q resolve.Question, _ bool) (resolve.Outcome, bool) {
				return resolve.Outcome{Kind: resolve.Positive, Answer: []resolve.Set{ownAnswer("www.example.com.", 203, 0, 113, 9)}}, true
			}}, nil)
		}, nil, "ModuleAnswered Concluded"},
		{"a module decides, judges and finishes", "www.example.com.", func(w *world) {
			w.with(&resolve.Layer{Name: "policy", Begin: func(*resolve.Request) resolve.State { return resolve.Done }, Judge: func(*resolve.Request) {}, Finalize: func(*resolve.Request) {}}, nil)
		}, nil, "ModuleDecided ModuleFinalized"},
		{"a module judges and finishes", "www.example.com.", func(w *world) {
			w.with(&resolve.Layer{Name: "policy", Judge: func(*resolve.Request) {}, Finalize: func(*resolve.Request) {}}, nil)
		}, nil, referral + " Asking Chosen Replied Concluded ModuleFinalized ModuleFinalized"},
		{"a layer fails", "www.example.com.", func(w *world) {
			w.with(&resolve.Layer{Name: "fails", Produce: func(r *resolve.Request, _ *resolve.Query) resolve.State { return r.Fail(resolve.ErrLame) }}, nil)
		}, nil, "Failed"},
		{"the time is over", "www.example.com.", func(w *world) {
			w.net.Host("198.51.100.1").Play(authority.Drop())
		}, func(r *resolve.Request) { r.Patience = 100 * time.Millisecond }, "CutFound Asking Chosen Silent Failed"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, basic(merge(example("www.example.com. A 192.0.2.10\nalias.example.com. CNAME www.net.\n"), zones{"net.": "www.net. A 192.0.2.11\n"})))
			if c.change != nil {
				c.change(w)
			}
			got, r := w.told(c.name, c.request)
			want := c.want + " ModuleFinalized" // of validate, which is the last
			if strings.Join(got, " ") != want {
				t.Errorf("%s: told\n%v, want\n%v", c.what, got, want)
			}
			unread := newWorldOf(w)
			unread.layers = w.layers
			q := unread.request(c.name, "A")
			if c.request != nil {
				c.request(q)
			}
			if unread.driver.Resolve(t.Context(), q); show(&q.Result) != show(&r.Result) || unread.driver.Panics() != 0 {
				t.Errorf("%s: %s when nobody reads, %s when somebody does", c.what, show(&q.Result), show(&r.Result))
			}
		})
	}
}

// When so many servers of a zone are of no use that no other is asked, that is told, and
// nobody needs to read along.
func TestEnoughUselessServersAreTold(t *testing.T) {
	for _, reads := range []bool{false, true} {
		w := newWorld(t, basic(manyServers(10)))
		for i := range 10 {
			w.net.Host(fmt.Sprintf("192.0.2.%d", 101+i)).Play(authority.Rcode(dns.RcodeRefused), func(x *authority.Exchange) { x.Reply.Authoritative = true })
		}
		var kinds []string
		r := w.request("www.example.com.", "A")
		if reads {
			kinds, r = w.told("www.example.com.", nil)
		} else {
			w.driver.Resolve(t.Context(), r)
		}
		if w.driver.Panics() != 0 || reads != slices.Contains(kinds, "EnoughUseless") || r.Result.Rcode != wire.RcodeServFail {
			t.Errorf("read along %t: %s, told %v", reads, show(&r.Result), kinds)
		}
	}
}
