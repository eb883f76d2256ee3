package worker

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"time"

	"kresd/internal/bindings"
	"kresd/internal/bindings/caching"
	"kresd/internal/cache"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/lmdbcache"
	"kresd/internal/metrics"
	"kresd/internal/reload"
	"kresd/internal/upstream"
	"kresd/internal/validate"
)

// newFigures makes the registry with the figures of the worker's own parts:
// worker.stats(), cache.stats() and worker.limits(). Modules add theirs.
func (w *Worker) newFigures() *metrics.Registry {
	r := &metrics.Registry{}
	r.Add(metrics.Of(bindings.WorkerFigures, w.processNow, processFigures()))
	r.Add(metrics.Of(caching.Figures, w.storage.now, cacheFigures()))
	r.Add(limitFigures(w.counters))
	return r
}

// processState is what worker.stats() tells of.
type processState struct {
	up  upstream.Stats
	in  listen.Stats
	use syscall.Rusage
	// resident is the most memory that was ever resident, in octets.
	resident uint64
	reloads  *reload.State
	// proofs goes on counting, unlike the others.
	proofs *validate.Counts
	// certificateEnd is zero where the ephemeral certificate serves.
	certificateEnd time.Time
	// ephemeralEnd is zero where no ephemeral certificate serves.
	ephemeralEnd time.Time
}

func (w *Worker) processNow() processState {
	s := processState{up: w.upstream.Stats(), in: w.server.Stats(), proofs: &w.proofs, reloads: w.reloads.State(), certificateEnd: w.encrypted.certificate.End(), ephemeralEnd: w.encrypted.certificate.EphemeralEnd()}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &s.use) // it fails for other arguments only
	status, _ := os.ReadFile("/proc/self/status")
	s.resident = mostResident(status, &s.use)
	return s
}

// mostResident is the peak of the program's own memory, as the status of a process tells
// it. Without a status it is that of getrusage(2), which also counts the memory that the
// process had before it executed this program.
func mostResident(status []byte, use *syscall.Rusage) uint64 {
	for line := range bytes.Lines(status) {
		var kB uint64
		if n, _ := fmt.Sscanf(string(line), "VmHWM: %d kB", &kB); n == 1 {
			return kB << 10
		}
	}
	return uint64(use.Maxrss) << 10
}

// processFigures lists the figures of worker.stats(). Those from "mismatched" to
// "joined" rise when somebody forges answers, or a server is broken in a way that
// looks like it.
func processFigures() []metrics.Figure[processState] {
	of := func(name string, kind metrics.Kind, unit metrics.Unit, help string, fn func(*processState) float64) metrics.Figure[processState] {
		return metrics.Figure[processState]{Desc: metrics.Desc{Name: name, Kind: kind, Unit: unit, Help: help}, Of: fn}
	}
	count := func(name, help string, fn func(*processState) uint64) metrics.Figure[processState] {
		return of(name, metrics.Counter, metrics.Number, help, func(s *processState) float64 { return float64(fn(s)) })
	}
	return []metrics.Figure[processState]{
		count("udp", "questions sent to servers by UDP", func(s *processState) uint64 { return s.up.UDP }),
		count("tcp", "questions sent to servers by TCP", func(s *processState) uint64 { return s.up.TCP }),
		count("tls", "questions sent to servers by TLS", func(s *processState) uint64 { return s.up.TLS }),
		count("https", "questions sent to servers by HTTPS", func(s *processState) uint64 { return s.up.HTTPS }),
		count("quic", "questions sent to servers by QUIC", func(s *processState) uint64 { return s.up.QUIC }),
		count("ipv4", "questions sent to servers by IPv4", func(s *processState) uint64 { return s.up.IPv4 }),
		count("ipv6", "questions sent to servers by IPv6", func(s *processState) uint64 { return s.up.IPv6 }),
		count("timeout", "questions to servers without an answer in time", func(s *processState) uint64 { return s.up.Timeout }),
		of("concurrent", metrics.Gauge, metrics.Number, "clients' queries being resolved", func(s *processState) float64 { return float64(s.in.Waiting) }),
		of("connections", metrics.Gauge, metrics.Number, "clients' connections that are open", func(s *processState) float64 { return float64(s.in.Conns) }),
		count("queries", "queries of clients", func(s *processState) uint64 { return s.in.UDP + s.in.TCP }),
		count("handshakes", "handshakes of TLS and QUIC with clients", func(s *processState) uint64 { return s.in.Handshakes }),
		count("resumed", "of these, those that went on from an earlier session", func(s *processState) uint64 { return s.in.Resumed }),
		count("handshakes_failed", "handshakes with clients that failed, or took too long", func(s *processState) uint64 { return s.in.HandshakesFailed }),
		of("handshakes_open", metrics.Gauge, metrics.Number, "handshakes of TLS with clients that are under way", func(s *processState) float64 { return float64(s.in.HandshakesOpen) }),
		of("handshakes_queued", metrics.Gauge, metrics.Number, "of these, those that wait until another one has been computed", func(s *processState) float64 { return float64(s.in.HandshakesQueued) }),
		of("certificate_end", metrics.Gauge, metrics.Seconds, "when the certificate of net.tls expires, in seconds since 1970; 0 where the ephemeral one serves", func(s *processState) float64 { return epoch(s.certificateEnd) }),
		of("ephemeral_certificate_end", metrics.Gauge, metrics.Seconds, "when the ephemeral certificate expires that clients are shown; 0 where none serves", func(s *processState) float64 { return epoch(s.ephemeralEnd) }),
		count("dropped", "queries of clients that got no answer on purpose", func(s *processState) uint64 { return s.in.Ignored + s.in.Dropped }),

		count("http_requests", "requests of clients by HTTP", func(s *processState) uint64 { return s.in.HTTPRequests }),
		count("http_bad", "requests of clients by HTTP that carried no question", func(s *processState) uint64 { return s.in.HTTPBad }),
		count("http_refused", "requests of clients by HTTP that got 503, since too many were in hand", func(s *processState) uint64 { return s.in.HTTPRefused }),
		count("http_streams", "streams of HTTP/2 that were refused, or ended with their connection, since a client opened too many", func(s *processState) uint64 { return s.in.HTTPStreams }),
		count("http_broken", "what clients did against HTTP/2", func(s *processState) uint64 { return s.in.HTTPBroken }),

		count("mismatched", "answers from the right address to another question", func(s *processState) uint64 { return s.up.NearMiss }),
		count("caselost", "answers that did not echo the letter case", func(s *processState) uint64 { return s.up.CaseLost }),
		count("cookielost", "answers without our cookie from servers that know cookies", func(s *processState) uint64 { return s.up.CookieLost }),
		count("ignored", "datagrams that could not be an answer", func(s *processState) uint64 { return s.up.Ignored }),
		count("icmp", "errors that the network reported while an answer was awaited", func(s *processState) uint64 { return s.up.ICMP }),
		count("out_handshakes", "handshakes of TLS and QUIC with servers, from nothing", func(s *processState) uint64 { return s.up.Handshakes }),
		count("out_resumed", "handshakes with servers that went on from an earlier session", func(s *processState) uint64 { return s.up.Resumed }),
		count("out_refused", "handshakes with servers that failed", func(s *processState) uint64 { return s.up.NoHandshake }),
		count("joined", "times that a question waited for an equal one instead of being sent", func(s *processState) uint64 { return s.up.Joined }),

		count("checks", "signatures and digests that were checked", func(s *processState) uint64 { return s.proofs.Checks() }),
		of("checktime", metrics.Counter, metrics.Seconds, "time that proofs took, without what they waited for", func(s *processState) float64 { return s.proofs.Time().Seconds() }),
		count("secure", "answers of servers that were proven", func(s *processState) uint64 { return s.proofs.Secure() }),
		count("insecure", "answers of servers that need no proof", func(s *processState) uint64 { return s.proofs.Insecure() }),
		count("bogus", "answers of servers that were not believed", func(s *processState) uint64 { return s.proofs.Bogus() }),

		count("reloads", "reloads of the configuration that are complete, of the whole group", func(s *processState) uint64 { return s.reloads.Completed }),
		count("reloads_failed", "reloads of the configuration that failed, of the whole group: what was in force stays", func(s *processState) uint64 { return s.reloads.Failed }),

		of("usertime", metrics.Counter, metrics.Seconds, "processor time of the program", func(s *processState) float64 { return seconds(s.use.Utime) }),
		of("systime", metrics.Counter, metrics.Seconds, "processor time of the system for the program", func(s *processState) float64 { return seconds(s.use.Stime) }),
		count("pagefaults", "pages that had to be read", func(s *processState) uint64 { return uint64(s.use.Majflt) }),
		count("swaps", "times that the process was swapped out", func(s *processState) uint64 { return uint64(s.use.Nswap) }),
		count("csw", "context switches", func(s *processState) uint64 { return uint64(s.use.Nvcsw + s.use.Nivcsw) }),
		of("rss", metrics.Gauge, metrics.Octets, "most memory ever resident", func(s *processState) float64 { return float64(s.resident) }),
	}
}

// epoch is a time in seconds since 1970, 0 for the zero time.
func epoch(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

// cacheState is what cache.stats() tells of.
type cacheState struct {
	file    lmdbcache.Stats // zero where no cache is open
	answers cache.Stats
}

// now takes the figures of the cache.
func (s *storage) now() cacheState {
	st := cacheState{answers: s.cache.Stats()}
	if store := s.current(); store != nil {
		st.file = store.Stats()
	}
	return st
}

// cacheFigures lists the figures of cache.stats(), the manual's four first.
func cacheFigures() []metrics.Figure[cacheState] {
	count := func(name, help string, fn func(*cacheState) uint64) metrics.Figure[cacheState] {
		return metrics.Figure[cacheState]{Desc: metrics.Desc{Name: name, Help: help}, Of: func(s *cacheState) float64 { return float64(fn(s)) }}
	}
	return []metrics.Figure[cacheState]{
		count("hit", "entries that were found", func(s *cacheState) uint64 { return s.file.Hit }),
		count("miss", "entries that were not found", func(s *cacheState) uint64 { return s.file.Miss }),
		count("insert", "entries that were written", func(s *cacheState) uint64 { return s.file.Insert }),
		count("delete", "entries that were removed", func(s *cacheState) uint64 { return s.file.Delete }),
		count("open", "times that the file was opened", func(s *cacheState) uint64 { return s.file.Open }),
		count("close", "times that the file was closed", func(s *cacheState) uint64 { return s.file.Close }),
		count("count", "times that entries were counted", func(s *cacheState) uint64 { return s.file.Count }),
		count("clear", "times that the cache was cleared", func(s *cacheState) uint64 { return s.file.Clear }),
		count("commit", "write transactions", func(s *cacheState) uint64 { return s.file.Commit }),
		count("read", "look-ups of one key", func(s *cacheState) uint64 { return s.file.Read }),
		count("read_miss", "look-ups of one key that found nothing", func(s *cacheState) uint64 { return s.file.ReadMiss }),
		count("read_leq", "look-ups of the greatest key that is not above one", func(s *cacheState) uint64 { return s.file.ReadLeq }),
		count("read_leq_miss", "look-ups of the greatest key that is not above one that found nothing", func(s *cacheState) uint64 { return s.file.ReadLeqMiss }),
		count("match", "look-ups of a range", func(s *cacheState) uint64 { return s.file.Match }),
		count("match_miss", "look-ups of a range that found nothing", func(s *cacheState) uint64 { return s.file.MatchMiss }),
		count("write", "writes", func(s *cacheState) uint64 { return s.file.Write }),
		count("remove", "removals", func(s *cacheState) uint64 { return s.file.Remove }),
		count("remove_miss", "removals of what was not there", func(s *cacheState) uint64 { return s.file.RemoveMiss }),
		count("evicted", "entries removed to make room", func(s *cacheState) uint64 { return s.file.Evicted }),
		count("write_errors", "write transactions that failed", func(s *cacheState) uint64 { return s.file.WriteErrors }),
		count("dropped", "writes given up because too many waited, the map was full or writing failed", func(s *cacheState) uint64 {
			return s.file.QueueDrops + s.file.FullDrops + s.file.PauseDrops
		}),
		count("answer_hit", "whole answers that were found", func(s *cacheState) uint64 { return s.answers.AnswerHit }),
		count("answer_miss", "whole answers that were not found", func(s *cacheState) uint64 { return s.answers.AnswerMiss }),
		count("aggressive_hit", "answers that follow from validated denials of their zone (RFC 8198)", func(s *cacheState) uint64 { return s.answers.Aggressive }),
		count("damaged", "damaged entries and pages that were met", func(s *cacheState) uint64 { return s.answers.Damaged + s.file.Damaged }),
		{Desc: metrics.Desc{Name: "usage_percent", Kind: metrics.Gauge, Unit: metrics.Percent, Help: "how full the map is"},
			Of: func(s *cacheState) float64 { return s.file.UsagePercent }},
	}
}

// limitFigures are the hits of each limit; the help says what counts as a hit.
func limitFigures(c *limits.Counters) *metrics.Group {
	return metrics.NewGroup(bindings.LimitFigures, func() (out []metrics.Sample) {
		limits.Each(func(id limits.ID) {
			out = append(out, metrics.Sample{Desc: metrics.Desc{Name: id.String(), Help: id.Means()}, Value: float64(c.Get(id))})
		})
		return out
	})
}
