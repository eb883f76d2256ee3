package tasignal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

type fixture struct {
	layer *resolve.Layer
	clock *clock.Fake
	group safe.Group
	store *trustanchor.Store
	asked []string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewFake(time.Unix(1e9, 0)), store: trustanchor.New()}
	inst, err := Module(f.store.Snapshot).Open(&module.Host{
		Clock: &f.clock.Clock, Tasks: &f.group, Context: t.Context(),
		Resolve: func(_ context.Context, req *resolve.Request) {
			if !req.Options.BypassCache {
				t.Error("the cache may answer the question")
			}
			f.asked = append(f.asked, req.Name.String()+" "+wire.TypeText(req.Type))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.layer = inst.Layer
	return f
}

// fetched has the keys of a zone come, and returns what is asked then.
func (f *fixture) fetched(zone string, change func(*resolve.Query)) []string {
	name, err := dnsname.Parse(zone)
	if err != nil {
		panic(err)
	}
	q := &resolve.Query{Question: resolve.Question{Name: name, Type: wire.TypeDNSKEY}, Outcome: resolve.Outcome{Kind: resolve.Positive, Origin: resolve.FromServer}}
	if change != nil {
		change(q)
	}
	f.asked = nil
	f.layer.Consume(&resolve.Request{}, q, nil)
	f.group.Wait()
	return f.asked
}

func TestTheZoneLearnsWhichKeysAreTrusted(t *testing.T) {
	f := newFixture(t)
	if got := f.fetched(".", nil); got != nil {
		t.Errorf("without an anchor %v is asked", got)
	}
	f.store.UseBuiltin()
	want := []string{"_ta-4f66-9728. TYPE10"}
	if got := f.fetched(".", nil); !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}
	if got := f.fetched("example.", nil); got != nil {
		t.Errorf("for a zone without an anchor %v is asked", got)
	}
	f.clock.Advance(again - time.Second)
	if got := f.fetched(".", nil); got != nil {
		t.Errorf("%v is asked again too soon", got)
	}
	f.clock.Advance(time.Second)
	for what, change := range map[string]func(*resolve.Query){
		"another type":        func(q *resolve.Query) { q.Type = wire.TypeNS },
		"keys from the cache": func(q *resolve.Query) { q.Outcome.Origin = resolve.FromCache },
		"no keys":             func(q *resolve.Query) { q.Outcome.Kind = resolve.NoData },
	} {
		if got := f.fetched(".", change); got != nil {
			t.Errorf("%s: %v is asked", what, got)
		}
	}
	if got := f.fetched(".", nil); !slices.Equal(got, want) {
		t.Errorf("asked %v an hour later, want %v", got, want)
	}
	f.store.Remove(dnsname.Root)
	if err := f.store.Add(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"); err != nil {
		t.Fatal(err)
	}
	if got := f.fetched(".", nil); !slices.Equal(got, []string{"_ta-4f66. TYPE10"}) {
		t.Errorf("after a change of anchors %v is asked", got)
	}
}

// A label has room for twelve tags, and each key that is trusted is told.
func TestManyKeysAreToldInSeveralNames(t *testing.T) {
	f := newFixture(t)
	var want [2]string
	for tag := range 14 {
		want[tag/perName] += fmt.Sprintf("-%04x", tag+1)
		if err := f.store.Add(fmt.Sprintf("example. IN DS %d 8 2 %s", 14-tag, strings.Repeat("ab", 32))); err != nil {
			t.Fatal(err)
		}
	}
	got := f.fetched("example.", nil)
	if !slices.Equal(got, []string{"_ta" + want[0] + ".example. TYPE10", "_ta" + want[1] + ".example. TYPE10"}) {
		t.Errorf("asked %v", got)
	}
}
