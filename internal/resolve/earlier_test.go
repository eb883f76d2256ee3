package resolve

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// A server that answers has what came of asking it before forgotten: it was told of an hour
// later, "did not answer 5400 s ago and is left alone for a moment". So it is after a day, for
// which no server is left alone.
func TestAnAnswerEndsATaleOfSilence(t *testing.T) {
	ns := &zonecut.NameServer{Name: "\x02ns\x00", Addrs: []netip.Addr{server(1).Addr()}}
	for what, c := range map[string]struct {
		then func(s *solver, q *Query, at zonecut.Endpoint)
		told bool
	}{
		"nothing came": {func(*solver, *Query, zonecut.Endpoint) {}, true},
		"it answered": {func(s *solver, q *Query, at zonecut.Endpoint) {
			s.answered(q, attempt{server: Server{Endpoint: at}}, Reply{Msg: &wire.Msg{}})
		}, false},
		"it answered what was asked to explore": {func(s *solver, _ *Query, at zonecut.Endpoint) {
			s.found(&Exchange{}, selection.Choice{Endpoint: at}, Reply{Msg: &wire.Msg{}}, nil)
		}, false},
		"it was silent to that": {func(s *solver, _ *Query, at zonecut.Endpoint) {
			s.cfg.Context = t.Context()
			s.found(&Exchange{}, selection.Choice{Endpoint: at}, Reply{}, ErrTimeout)
		}, true},
		"a day passed": {func(*solver, *Query, zonecut.Endpoint) { time.Sleep(limits.DeadAtMost) }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, q, _ := alone()
			at := s.cfg.Servers.Endpoint(ns, server(1).Addr())
			s.remember(at, ErrTimeout)
			c.then(s, q, at)
			if text := s.came(q, ns, server(1).Addr()); (text != "") != c.told {
				t.Errorf("%s: told %q", what, text)
			}
		})
	}
}
