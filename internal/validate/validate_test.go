package validate

import (
	"testing"

	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

func TestNothingIsSecureWithoutProof(t *testing.T) {
	for r := range rank.Rank(255) {
		q := &resolve.Query{Outcome: resolve.Outcome{Kind: resolve.Positive, Answer: []resolve.Set{{Rank: r}}}}
		Layer().Consume(nil, q, &wire.Msg{})
		got, want := q.Outcome.Answer[0].Rank, r
		if r == rank.Initial|rank.Auth {
			want = rank.Insecure | rank.Auth
		}
		if got != want {
			t.Errorf("rank %d became %d, want %d", r, got, want)
		}
		q.Outcome.Answer[0].Rank = r
		Layer().Consume(nil, q, nil)
		if got := q.Outcome.Answer[0].Rank; got != r {
			t.Errorf("from the cache: rank %d became %d", r, got)
		}
	}
}
