package validate

import (
	"testing"

	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func TestNothingIsSecureWithoutProof(t *testing.T) {
	for r := range rank.Rank(255) {
		q := &resolve.Query{Outcome: resolve.Outcome{Kind: resolve.Positive, Origin: resolve.FromServer, Answer: []resolve.Set{{Rank: r}}}}
		Layer().Consume(nil, q, &wire.Msg{})
		got, want := q.Outcome.Answer[0].Rank, r
		if r == rank.Initial|rank.Auth {
			want = rank.Insecure | rank.Auth
		}
		if got != want {
			t.Errorf("rank %d became %d, want %d", r, got, want)
		}
		q.Options, q.Cut, q.Outcome.Answer[0].Rank = resolve.Options{Forward: true}, &zonecut.Cut{Hints: true}, r
		Layer().Consume(&resolve.Request{CD: true}, q, &wire.Msg{})
		if got := q.Outcome.Answer[0].Rank; got != r {
			t.Errorf("from a forwarder that was asked with CD: rank %d became %d", r, got)
		}
		q.Outcome.Answer[0].Rank = r
		if r == rank.Initial|rank.Auth {
			want = rank.Try | rank.Auth
		}
		Layer().Consume(&resolve.Request{}, q, &wire.Msg{})
		if got := q.Outcome.Answer[0].Rank; got != want {
			t.Errorf("from a forwarder: rank %d became %d, want %d", r, got, want)
		}
		q.Options = resolve.Options{}
		for _, known := range []resolve.Origin{resolve.FromCache, resolve.FromModule} {
			q.Outcome.Origin, q.Outcome.Answer[0].Rank = known, r
			Layer().Consume(nil, q, nil)
			if got := q.Outcome.Answer[0].Rank; got != r {
				t.Errorf("origin %d: rank %d became %d", known, r, got)
			}
		}
		want = r
		if r == rank.Initial|rank.Auth {
			want = rank.Insecure | rank.Auth
		}
		q.Outcome.Origin, q.Outcome.Answer[0].Rank = resolve.HeldBack, r
		Layer().Consume(nil, q, nil)
		if got := q.Outcome.Answer[0].Rank; got != want {
			t.Errorf("held back: rank %d became %d, want %d", r, got, want)
		}
	}
}
