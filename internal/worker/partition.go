package worker

import (
	"encoding/binary"
	"net/netip"

	"kresd/internal/resolve"
	"kresd/internal/roothints"
	"kresd/internal/trustanchor"
	"kresd/internal/zonecut"
)

// partitions are those of the present configuration. They are made anew for each
// request and each batch of questions, from numbers that whoever changes a part of
// the configuration keeps ready: nobody has to be told of a change.
func (w *Worker) partitions() resolve.Partitions { return w.partitionsBy(w.rules.anchors.Snapshot()) }

// partitionsBy are those of the present configuration with certain anchors.
func (w *Worker) partitionsBy(anchors *trustanchor.Snapshot) resolve.Partitions {
	data := resolve.Partition(0).With(w.roots.fingerprint.Load()).With(anchors.Fingerprint())
	p := resolve.Partitions{Data: data, Answers: w.chain.Snapshot().Shape(data.With(w.rules.fingerprint.Load()))}
	v4, v6 := w.settings.Outgoing()
	for _, a := range [...]netip.Addr{v4, v6} { // what one address reaches another may not
		if a.IsValid() {
			b := a.As16()
			p.Answers = p.Answers.With(binary.BigEndian.Uint64(b[:8])).With(binary.BigEndian.Uint64(b[8:]))
		}
	}
	p.Answers = p.WithOptions(w.settings.RequestOptions()).Answers
	return p
}

// dataPartition is where what servers tell is kept for a request that no rule
// changes.
func (w *Worker) dataPartition() resolve.Partition {
	return w.partitions().WithOptions(w.settings.RequestOptions()).Data
}

// fingerprint tells root servers of the operator's own apart; it is 0 for the
// built-in ones, wherever they were read.
func fingerprint(roots *zonecut.Cut) uint64 {
	sum := resolve.Servers(roots)
	if sum == resolve.Servers(roothints.Builtin()) {
		return 0
	}
	return sum
}
