package stats

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"kresd/internal/transport"
)

// A bucket is a range of latency.
type bucket struct {
	name string
	most time.Duration
}

// buckets in ascending order: a request counts in the first that reaches as far
// as it took.
var buckets = [...]bucket{
	{"1ms", time.Millisecond}, {"10ms", 10 * time.Millisecond}, {"50ms", 50 * time.Millisecond}, {"100ms", 100 * time.Millisecond},
	{"250ms", 250 * time.Millisecond}, {"500ms", 500 * time.Millisecond}, {"1000ms", time.Second}, {"1500ms", 1500 * time.Millisecond},
	{"slow", 1<<63 - 1},
}

// slowWay counts what only requests on the driver's way have.
type slowWay struct {
	clients, internal shapes
	dropped           [transport.Count]atomic.Uint64
	cached, stale     atomic.Uint64
	took              atomic.Int64 // nanoseconds
	latency           [len(buckets)]atomic.Uint64
}

func (w *slowWay) duration(d time.Duration) {
	w.took.Add(int64(d))
	w.latency[slices.IndexFunc(buckets[:], func(b bucket) bool { return d <= b.most })].Add(1)
}

// counted are the values of all counters that are always there.
func (s *stats) counted() values {
	m := zeros()
	fast := s.fast()
	for i, n := range fast.shapes {
		if n > 0 {
			m.add(shape(i), n)
			m.client(shape(i).transport(), n)
			m["answer.1ms"] += float64(n)
			if shape(i).class() != notImp {
				m["answer.cached"] += float64(n)
			}
		}
	}
	m["answer.cached"] -= float64(fast.decided)
	for i, n := range fast.dropped {
		m.client(transport.At(i), n)
	}
	s.slow.addTo(m)
	return m
}

// fast sums what the listeners' threads counted.
func (s *stats) fast() sums {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.gone
	for t := range s.tallies {
		t.addTo(&sum)
	}
	return sum
}

type values map[string]float64

// names of the counters of a class; the others count in the total only.
var classNames = map[class]string{noError: "answer.noerror", noData: "answer.nodata", nxDomain: "answer.nxdomain", servFail: "answer.servfail"}

var flagNames = [...]struct {
	bit  shape
	name string
}{
	{shapeTC, "answer.tc"}, {shapeRD, "answer.rd"}, {shapeAA, "answer.aa"}, {shapeAD, "answer.ad"}, {shapeCD, "answer.cd"},
	{shapeEDNS, "answer.edns0"}, {shapeEDNS, "query.edns"}, {shapeDO, "answer.do"}, {shapeDO, "query.dnssec"},
}

// kindNames are what the counters of a transport's requests are called, without
// the family. What has no name counts in the total only.
var kindNames = [transport.Kinds]string{transport.UDP: "request.udp", transport.TCP: "request.tcp"}

var familyNames = [transport.Families]string{transport.IPv4: "4", transport.IPv6: "6"}

// transportName is the counter of a transport's requests, empty for none.
func transportName(t transport.Transport) string {
	if kindNames[t.Kind] == "" {
		return ""
	}
	return kindNames[t.Kind] + familyNames[t.Family]
}

func zeros() values {
	m := values{
		"answer.total": 0, "answer.cached": 0, "answer.stale": 0, "answer.ra": 0, "answer.sum_ms": 0,
		"request.total": 0, "request.internal": 0,
	}
	for _, b := range buckets {
		m["answer."+b.name] = 0
	}
	for _, name := range classNames {
		m[name] = 0
	}
	for _, f := range flagNames {
		m[f.name] = 0
	}
	for i := range transport.Count {
		if name := transportName(transport.At(i)); name != "" {
			m[name] = 0
		}
	}
	return m
}

// add counts n answers of one shape.
func (m values) add(s shape, n uint64) {
	v := float64(n)
	m["answer.total"] += v
	m["answer.ra"] += v // all our answers say so
	if name, ok := classNames[s.class()]; ok {
		m[name] += v
	}
	for _, f := range flagNames {
		if s&f.bit != 0 {
			m[f.name] += v
		}
	}
}

// client counts n requests of clients.
func (m values) client(t transport.Transport, n uint64) {
	m["request.total"] += float64(n)
	if name := transportName(t); name != "" {
		m[name] += float64(n)
	}
}

func (w *slowWay) addTo(m values) {
	for i := range shapeCount {
		if n := w.clients[i].Load(); n > 0 {
			m.add(shape(i), n)
			m.client(shape(i).transport(), n)
		}
		if n := w.internal[i].Load(); n > 0 {
			m.add(shape(i), n)
			m["request.total"] += float64(n)
			m["request.internal"] += float64(n)
		}
	}
	for t := range w.dropped {
		m.client(transport.At(t), w.dropped[t].Load())
	}
	m["answer.cached"] += float64(w.cached.Load())
	m["answer.stale"] += float64(w.stale.Load())
	m["answer.sum_ms"] += float64(w.took.Load() / int64(time.Millisecond))
	for i := range buckets {
		m["answer."+buckets[i].name] += float64(w.latency[i].Load())
	}
}

// current are all counters that begin with prefix, with what scripts made of
// them.
func (s *stats) current(prefix string) values {
	m := s.counted()
	s.mu.Lock()
	for name, v := range s.set {
		m[name] += v
	}
	s.mu.Unlock()
	maps.DeleteFunc(m, func(name string, _ float64) bool { return !strings.HasPrefix(name, prefix) })
	return m
}

// assign gives a counter the value v; a built-in one goes on counting from it.
func (s *stats) assign(name string, v float64) {
	v -= s.counted()[name]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set[name] = v
}
