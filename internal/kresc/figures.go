package kresc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"time"

	"kresd/internal/console"
	"kresd/internal/limits"
	"kresd/internal/reload"
)

// figuresCommand asks a worker for its figures. What answers take is known where the module
// stats is loaded. A cache that is closed has no figures.
const figuresCommand = "local function try(fn, ...) local ok, v = pcall(fn, ...) return ok and v or nil end " +
	"return { worker = worker.stats(), cache = try(cache.stats), entries = try(cache.count), size = cache.current_size, " +
	"answers = type(stats) == 'table' and try(stats.list, 'answer.') or nil }"

// statusCommand asks for the same, and whether the worker answers questions: it asks one
// itself. A worker of a version that cannot tells nothing about that.
const statusCommand = "local alive, why if worker.alive then alive, why = worker.alive() end " +
	"local figures = (function() " + figuresCommand + " end)() figures.alive, figures.why = alive, why " +
	"local ok, shown = pcall(net.tls) figures.certificate = ok and shown and shown.cert_file or nil return figures"

// A tally has figures by name: "queries", "cache.hit", "answer.total". Tallies can be added
// and subtracted.
type tally map[string]float64

// A reading is a worker's figures at a moment.
type reading struct {
	*worker
	tally
	at            time.Time
	entries, size float64 // of the cache, in octets
	err           error   // there are no figures
	alive         bool    // it answers questions, or was not asked to
	why           string  // it does not
	onDisk        reload.OnDisk
	certificate   string // file of the one that clients are shown; "": none of the operator's
}

// readAll asks all workers for their figures by a command.
func (c *client) readAll(ctx context.Context, command string) []reading {
	ctx, cancel := context.WithTimeout(ctx, limits.ClientFigures)
	defer cancel()
	var list []reading
	for _, r := range ask(ctx, c.workers, console.ReqJSON, command, nil) {
		list = append(list, newReading(r))
	}
	return list
}

func newReading(r reply) reading {
	out := reading{worker: r.worker, tally: tally{}, at: time.Now(), err: r.err}
	if r.raised {
		out.err = fmt.Errorf("%s: %s", r.name(), r.text)
	}
	if out.err != nil {
		return out
	}
	var v struct {
		Worker, Cache, Answers map[string]float64
		Entries, Size          float64
		Alive                  *bool
		Why, Certificate       string
	}
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		out.err = fmt.Errorf("%s: %w", r.name(), err)
		return out
	}
	maps.Copy(out.tally, v.Worker)
	maps.Copy(out.tally, v.Answers)
	for name, n := range v.Cache {
		out.tally["cache."+name] = n
	}
	out.entries, out.size = v.Entries, v.Size
	out.alive, out.why = v.Alive == nil || *v.Alive, v.Why
	out.certificate = v.Certificate
	return out
}

// minus is what was counted since an earlier tally. What is no count stays as it is.
func (t tally) minus(earlier tally) tally {
	out := maps.Clone(t)
	for name, n := range earlier {
		if !momentary[name] {
			out[name] -= n
		}
	}
	return out
}

func (t tally) plus(other tally) tally {
	out := maps.Clone(t)
	for name, n := range other {
		out[name] += n
	}
	return out
}

// momentary are the figures that are no counts.
var momentary = map[string]bool{"concurrent": true, "rss": true}

// A load is what a tally tells about a time. What cannot be known is NaN, and absent in
// JSON.
type load struct {
	queries, rate   float64 // clients' questions, and how many a second
	hits            float64 // share of answers from the cache
	failures        float64 // share of SERVFAIL among the answers
	mean            float64 // milliseconds that an answer takes
	p50, p95, p99   float64 // milliseconds within which so many answers came; +Inf: more than is told apart
	sent, timeouts  float64 // questions to servers a second, and those without an answer
	waiting         float64 // requests in progress
	cpu             float64 // share of a processor
	memory          float64 // octets
	sentAll, tmoAll float64 // questions to servers, and those without an answer
}

func newLoad(t tally, d time.Duration) load {
	seconds, answers := d.Seconds(), t["answer.total"]
	l := load{
		queries: t["queries"], rate: t["queries"] / seconds,
		sentAll: t["udp"] + t["tcp"] + t["tls"], tmoAll: t["timeout"],
		waiting: t["concurrent"], cpu: (t["usertime"] + t["systime"]) / seconds, memory: t["rss"],
		failures: t["answer.servfail"] / answers, mean: t["answer.sum_ms"] / answers,
		p50: t.within(0.50), p95: t.within(0.95), p99: t.within(0.99),
	}
	l.sent, l.timeouts = l.sentAll/seconds, l.tmoAll/seconds
	if _, known := t["answer.total"]; known {
		l.hits = t["answer.cached"] / answers
	} else {
		l.hits = t["cache.hit"] / (t["cache.hit"] + t["cache.miss"])
	}
	return l
}

// latencies are the classes of what answers take.
var latencies = []struct {
	name string
	most float64 // milliseconds
}{
	{"answer.1ms", 1}, {"answer.10ms", 10}, {"answer.50ms", 50}, {"answer.100ms", 100}, {"answer.250ms", 250},
	{"answer.500ms", 500}, {"answer.1000ms", 1000}, {"answer.1500ms", 1500}, {"answer.slow", math.Inf(1)},
}

// within is the time that share of the answers did not exceed, as far as their classes tell.
func (t tally) within(share float64) float64 {
	all := 0.0
	for _, class := range latencies {
		all += t[class.name]
	}
	sum := 0.0
	for _, class := range latencies {
		if sum += t[class.name]; sum >= share*all && sum > 0 {
			return class.most
		}
	}
	return math.NaN()
}

// json is a load for programs.
func (l load) json() map[string]float64 {
	out := map[string]float64{
		"queries": l.queries, "queries_per_second": l.rate, "hit_ratio": l.hits, "failure_ratio": l.failures,
		"mean_ms": l.mean, "p50_ms": l.p50, "p95_ms": l.p95, "p99_ms": l.p99,
		"upstream": l.sentAll, "upstream_per_second": l.sent, "timeouts": l.tmoAll, "timeouts_per_second": l.timeouts,
		"waiting": l.waiting, "cpu": l.cpu, "memory": l.memory,
	}
	for name, n := range out {
		if math.IsNaN(n) || math.IsInf(n, 0) {
			delete(out, name)
		}
	}
	return out
}
