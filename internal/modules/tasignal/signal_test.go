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
	"kresd/internal/limits"
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
	with  []context.Context // of each question, in their order
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewFake(time.Unix(1e9, 0)), store: trustanchor.New()}
	inst, err := Module(f.store.Snapshot).Open(&module.Host{
		Clock: &f.clock.Clock, Tasks: &f.group, Context: t.Context(),
		Resolve: func(ctx context.Context, req *resolve.Request) {
			if end, ok := ctx.Deadline(); !ok || time.Until(end) > limits.RequestDeadline || ctx.Err() != nil {
				t.Errorf("%s may take until %v (%v), longer than a client's question", req.Name, end, ctx.Err())
			}
			f.with = append(f.with, ctx)
			if !req.Options.BypassCache || !req.RD || !req.CD {
				t.Errorf("the cache may answer the question, or proofs: %+v", req)
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
		if err := f.store.Add(record(14 - tag)); err != nil {
			t.Fatal(err)
		}
	}
	got := f.fetched("example.", nil)
	if !slices.Equal(got, []string{"_ta" + want[0] + ".example. TYPE10", "_ta" + want[1] + ".example. TYPE10"}) {
		t.Errorf("asked %v", got)
	}
}

// record is a DS record of example. with a tag.
func record(tag int) string {
	return fmt.Sprintf("example. IN DS %d 8 2 %s", tag, strings.Repeat("ab", 32))
}

// A key that is still in its hold-down, or that its owner revoked, is no trust anchor.
func TestOnlyTrustedKeysAreTold(t *testing.T) {
	for _, tc := range []struct{ anchors, want string }{
		{record(1) + "\n; " + record(2) + " ; AddPend:2000000000 ; KeyTag:2\n; " + record(3) + " ; Revoked:2000000000 ; KeyTag:3\n", "_ta-0001.example. TYPE10"},
		{"; " + record(2) + " ; AddPend:2000000000 ; KeyTag:2\n", ""},
	} {
		f := newFixture(t)
		if err := f.store.Add(tc.anchors); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(f.fetched("example.", nil), ", "); got != tc.want {
			t.Errorf("asked %q, want %q, of\n%s", got, tc.want, tc.anchors)
		}
	}
}

// A question holds nothing once it is answered.
func TestAQuestionThatWasAnsweredHasEnded(t *testing.T) {
	f := newFixture(t)
	f.store.UseBuiltin()
	f.fetched(".", nil)
	if len(f.with) != 1 || f.with[0].Err() == nil {
		t.Errorf("%d questions were asked, and one goes on", len(f.with))
	}
}

// A zone whose name leaves no room for the label is told nothing.
func TestAZoneWhoseNameLeavesNoRoomIsToldNothing(t *testing.T) {
	label := strings.Repeat("x", 61) + "."
	fits := label[3:] + strings.Repeat(label, 3) // 246 octets in a message, and the label takes nine
	for zone, want := range map[string]int{fits: 1, "x" + fits: 0} {
		f := newFixture(t)
		if err := f.store.Add(strings.Replace(record(1), "example.", zone, 1)); err != nil {
			t.Fatal(err)
		}
		if got := f.fetched(zone, nil); len(got) != want {
			t.Errorf("a name of %d octets: asked %v", len(zone)+1, got)
		}
	}
}
