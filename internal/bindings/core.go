package bindings

import (
	"context"

	"kresd/internal/bindings/caching"
	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// core is the worker as kres.context() shows it.
type core struct{ d *Daemon }

func (k *core) Options() resolve.Options { return k.d.Settings.Options() }

func (k *core) ChangeOptions(fn func(*resolve.Options)) {
	k.d.Settings.Change(fn)
	k.d.changed()
}

func (k *core) Bufsize() uint16 { return uint16(k.d.Settings.Bufsize.Load()) }

// TrustAnchors are the keys of each owner that signatures are checked with.
func (k *core) TrustAnchors() (sets []wire.RRset) {
	if k.d.Anchors == nil {
		return nil
	}
	s := k.d.Anchors.Snapshot()
	for _, owner := range s.Owners() {
		ds, keys := s.Sets[owner].Anchors()
		for _, set := range []*wire.RRset{ds, keys} {
			if set != nil && len(set.Data) > 0 {
				sets = append(sets, *set)
			}
		}
	}
	return sets
}

func (k *core) NegativeAnchors() (names []dnsname.Name) {
	if k.d.Anchors == nil {
		return nil
	}
	for _, n := range k.d.Anchors.Snapshot().Negatives() {
		names = append(names, n.Name)
	}
	return names
}

func (k *core) Insert(set resolve.Set, told int64) error {
	if !k.d.Cache.IsOpen() {
		return caching.ErrClosed
	}
	return k.d.Cache.Insert(set, told)
}

// Sync steps aside while the writer is at work.
func (k *core) Sync(c *script.Call) error {
	if !k.d.Cache.IsOpen() {
		return caching.ErrClosed
	}
	_, err := script.Outside(c, func(ctx context.Context) (struct{}, error) { return struct{}{}, k.d.Cache.Sync(ctx) })
	return err
}

func (k *core) CacheFigure(name string) (float64, bool) {
	for _, s := range k.d.Metrics.Read(caching.Figures) {
		if s.Name == name {
			return s.Value, true
		}
	}
	return 0, false
}

func (k *core) TTLs() (lo, hi uint32) { return k.d.Cache.TTLs() }

func (k *core) SetTTLs(lo, hi uint32) { k.d.Cache.SetTTLs(lo, hi) }
