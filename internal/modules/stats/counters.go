package stats

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"kresd/internal/metrics"
	"kresd/internal/transport"
)

// latencies are the ranges of latency in ascending order: a request counts in the
// first that reaches as far as it took. The last one has no bound.
var latencies = [...]struct {
	name string
	most time.Duration
}{
	{"answer.1ms", time.Millisecond}, {"answer.10ms", 10 * time.Millisecond}, {"answer.50ms", 50 * time.Millisecond},
	{"answer.100ms", 100 * time.Millisecond}, {"answer.250ms", 250 * time.Millisecond}, {"answer.500ms", 500 * time.Millisecond},
	{"answer.1000ms", time.Second}, {"answer.1500ms", 1500 * time.Millisecond}, {name: "answer.slow"},
}

// newLatency makes the histogram over latencies.
func newLatency() *metrics.Durations {
	var bounds []time.Duration
	for _, l := range latencies[:len(latencies)-1] {
		bounds = append(bounds, l.most)
	}
	return metrics.NewDurations(bounds...)
}

// slowWay counts what only requests on the driver's way have.
type slowWay struct {
	clients, internal shapes
	dropped           [transport.Count]atomic.Uint64
	cached, stale     atomic.Uint64
	latency           *metrics.Durations
}

// read takes the figures for the worker's registry: the counters by name, and the
// latency of answers as one histogram.
func (s *stats) read() []metrics.Sample {
	m, latency := s.counted()
	var out []metrics.Sample
	for name, v := range m {
		out = append(out, metrics.Sample{Desc: metrics.Desc{Name: name, Kind: metrics.Counter, Help: means(name)}, Value: v})
	}
	slices.SortFunc(out, func(a, b metrics.Sample) int { return strings.Compare(a.Name, b.Name) })
	return append(out, metrics.Sample{
		Desc:   metrics.Desc{Name: "answer.latency", Kind: metrics.Histogram, Unit: metrics.Seconds, Help: "time from question to answer"},
		Spread: &latency,
	})
}

// listed are the figures as scripts see them: a counter for each range of latency.
func (s *stats) listed() values {
	m := values{}
	for _, f := range s.group.Read() {
		if f.Spread == nil {
			m[f.Name] = f.Value
			continue
		}
		for i, n := range f.Spread.Counts {
			m[latencies[i].name] = float64(n)
		}
		m["answer.sum_ms"] = float64(f.Spread.Sum.Milliseconds())
	}
	return m
}

// counted are the values of all counters that are always there, and how long the
// answers took.
func (s *stats) counted() (values, metrics.Spread) {
	m, latency := zeros(), s.slow.latency.Spread()
	fast := s.fast()
	for i, n := range fast.shapes {
		if n > 0 {
			m.add(shape(i), n)
			m.client(shape(i).transport(), n)
			latency.Counts[0] += n
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
	return m, latency
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
// the family.
var kindNames = [transport.Kinds]string{
	transport.UDP: "request.udp", transport.TCP: "request.tcp", transport.TLS: "request.dot",
	transport.HTTPS: "request.doh", transport.HTTP: "request.doh", transport.QUIC: "request.doq",
}

var familyNames = [transport.Families]string{transport.IPv4: "4", transport.IPv6: "6"}

// transportName is the counter of a transport's requests.
func transportName(t transport.Transport) string {
	return kindNames[t.Kind] + familyNames[t.Family]
}

func zeros() values {
	m := values{
		"answer.total": 0, "answer.cached": 0, "answer.stale": 0, "answer.ra": 0, "request.total": 0, "request.internal": 0,
	}
	for _, name := range classNames {
		m[name] = 0
	}
	for _, f := range flagNames {
		m[f.name] = 0
	}
	for i := range transport.Count {
		m[transportName(transport.At(i))] = 0
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
	m[transportName(t)] += float64(n)
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
}

// current are all counters that begin with prefix, with what scripts made of
// them.
func (s *stats) current(prefix string) values {
	m := s.listed()
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
	v -= s.listed()[name]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set[name] = v
}
