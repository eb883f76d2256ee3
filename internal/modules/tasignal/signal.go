// Package tasignal is the module ta_signal_query: when the keys of a zone that is a
// trust anchor are fetched, it tells the zone's servers which of the keys are trusted
// here, by a question whose name lists their tags (RFC 8145, section 5). So those who
// change the root's keys learn which resolvers are ready.
package tasignal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

const (
	// again is how long the same keys are not told to the same zone once more.
	again = time.Hour
	// perName is how many tags a label has room for (RFC 8145, section 5.1).
	perName = 12
)

type signal struct {
	host    *module.Host
	anchors func() *trustanchor.Snapshot

	mu   sync.Mutex
	sent map[dnsname.Name]sent // by zone; no more than there are anchors
}

// sent is what a zone's servers were told, and when by the monotonic clock.
type sent struct {
	labels string
	at     time.Duration
}

// consume sees the keys of an anchor's zone come from its servers.
func (s *signal) consume(_ *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
	if q.Type != wire.TypeDNSKEY || q.Outcome.Origin != resolve.FromServer || q.Outcome.Kind != resolve.Positive {
		return resolve.Consume
	}
	if set := s.anchors().Sets[q.Name]; set != nil {
		s.say(set)
	}
	return resolve.Consume
}

// say tells a zone's servers its trusted keys, in the background, unless they were told the
// same within the last hour.
func (s *signal) say(set *trustanchor.KeySet) {
	labels := labels(set)
	one := sent{strings.Join(labels, " "), s.host.Clock.Mono()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.sent[set.Owner]; ok && last.labels == one.labels && one.at-last.at < again {
		return
	}
	s.sent[set.Owner] = one
	s.host.Tasks.Go("ta_signal_query", func() {
		for _, label := range labels {
			s.ask(set.Owner, label)
		}
	})
}

// ask asks a zone's servers for the name that label makes, which does not exist. Neither
// the cache nor a denial in it may answer instead, and the answer is not used.
func (s *signal) ask(zone dnsname.Name, label string) {
	name, err := zone.Prepend(label)
	if err != nil {
		return // the zone's name leaves no room for the label
	}
	ctx, cancel := context.WithTimeout(s.host.Context, limits.RequestDeadline)
	defer cancel()
	s.host.Resolve(ctx, &resolve.Request{
		Question: resolve.Question{Name: name, Type: wire.TypeNULL, Class: wire.ClassIN},
		RD:       true, CD: true, Options: resolve.Options{BypassCache: true},
	})
}

// labels are the first labels of the names by which the tags of trusted keys are told, in
// hexadecimal and ascending order (RFC 8145, section 5.1).
func labels(set *trustanchor.KeySet) (labels []string) {
	var tags []uint16
	for i := range set.Keys {
		if k := &set.Keys[i]; k.State.Trusted() {
			tags = append(tags, k.Tag)
		}
	}
	slices.Sort(tags)
	for part := range slices.Chunk(slices.Compact(tags), perName) {
		label := "_ta"
		for _, tag := range part {
			label += fmt.Sprintf("-%04x", tag)
		}
		labels = append(labels, label)
	}
	return labels
}
