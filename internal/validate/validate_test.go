package validate

import (
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func TestNothingIsSecureWithoutProof(t *testing.T) {
	layer := Layer(trustanchor.New().Snapshot)
	for r := range rank.Rank(255) {
		q := &resolve.Query{Outcome: resolve.Outcome{Kind: resolve.Positive, Origin: resolve.FromServer, Answer: []resolve.Set{{Rank: r}}}}
		layer.Consume(&resolve.Request{}, q, &wire.Msg{})
		got, want := q.Outcome.Answer[0].Rank, r
		if r == rank.Initial|rank.Auth {
			want = rank.Insecure | rank.Auth
		}
		if got != want {
			t.Errorf("rank %d became %d, want %d", r, got, want)
		}
		q.Options, q.Cut, q.Outcome.Answer[0].Rank = resolve.Options{Forward: true}, &zonecut.Cut{Hints: true}, r
		layer.Consume(&resolve.Request{CD: true}, q, &wire.Msg{})
		if got := q.Outcome.Answer[0].Rank; got != r {
			t.Errorf("from a forwarder that was asked with CD: rank %d became %d", r, got)
		}
		q.Outcome.Answer[0].Rank = r
		if r == rank.Initial|rank.Auth {
			want = rank.Try | rank.Auth
		}
		layer.Consume(&resolve.Request{}, q, &wire.Msg{})
		if got := q.Outcome.Answer[0].Rank; got != want {
			t.Errorf("from a forwarder: rank %d became %d, want %d", r, got, want)
		}
		q.Options = resolve.Options{}
		for _, known := range []resolve.Origin{resolve.FromCache, resolve.FromModule} {
			q.Outcome.Origin, q.Outcome.Answer[0].Rank = known, r
			layer.Consume(&resolve.Request{}, q, nil)
			if got := q.Outcome.Answer[0].Rank; got != r {
				t.Errorf("origin %d: rank %d became %d", known, r, got)
			}
		}
		want = r
		if r == rank.Initial|rank.Auth {
			want = rank.Insecure | rank.Auth
		}
		q.Outcome.Origin, q.Outcome.Answer[0].Rank = resolve.HeldBack, r
		layer.Consume(&resolve.Request{}, q, nil)
		if got := q.Outcome.Answer[0].Rank; got != want {
			t.Errorf("held back: rank %d became %d, want %d", r, got, want)
		}
	}
}

// Whoever reads is told where a proof would begin, by the anchors of that moment:
// at the zone that signed, not the cut that was asked; for DS at the parent.
func TestAnchorsAreThoseOfTheMoment(t *testing.T) {
	name := func(text string) dnsname.Name {
		n, err := dnsname.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	anchor := func(owner dnsname.Name) *trustanchor.KeySet {
		return &trustanchor.KeySet{Owner: owner, Keys: []trustanchor.Key{{State: trustanchor.Valid}}}
	}
	now := &trustanchor.Snapshot{}
	layer := Layer(func() *trustanchor.Snapshot { return now })
	q := &resolve.Query{Question: resolve.Question{Name: name("www.example."), Type: wire.TypeA}, Outcome: resolve.Outcome{Kind: resolve.Positive, Origin: resolve.FromServer}}
	told := dnsname.Name("")
	r := &resolve.Request{Tell: func(_ *resolve.Query, step resolve.Step) { told = step.(resolve.NotProved).Anchor }}
	ask := func(qtype uint16, signer dnsname.Name) dnsname.Name {
		told = ""
		q.Type, q.Outcome.Signer = qtype, signer
		layer.Consume(r, q, &wire.Msg{})
		return told
	}
	if got := ask(wire.TypeA, ""); got != "" {
		t.Errorf("without anchors: %s", got)
	}
	www, example := name("www.example."), name("example.")
	now = &trustanchor.Snapshot{Sets: map[dnsname.Name]*trustanchor.KeySet{www: anchor(www), example: anchor(example)}}
	for _, c := range []struct {
		qtype  uint16
		signer dnsname.Name
		want   dnsname.Name
	}{{wire.TypeA, "", www}, {wire.TypeA, example, example}, {wire.TypeDS, "", example}} {
		if got := ask(c.qtype, c.signer); got != c.want {
			t.Errorf("type %d signed by %s: told %s, want %s", c.qtype, c.signer, got, c.want)
		}
	}
}

// A delegation's DS set is judged like any set that its parent told.
func TestTheRankOfDS(t *testing.T) {
	layer := Layer(trustanchor.New().Snapshot)
	for _, c := range []struct{ before, want rank.Rank }{{rank.Initial | rank.Auth, rank.Insecure | rank.Auth}, {rank.Secure | rank.Auth, rank.Secure | rank.Auth}} {
		cut := &zonecut.Cut{DS: &wire.RRset{Type: wire.TypeDS}, DSRank: c.before}
		q := &resolve.Query{Outcome: resolve.Outcome{Kind: resolve.Referral, Origin: resolve.FromServer, Cut: cut}}
		layer.Consume(&resolve.Request{}, q, &wire.Msg{})
		if cut.DSRank != c.want {
			t.Errorf("rank %d became %d, want %d", c.before, cut.DSRank, c.want)
		}
	}
}
