package selection

import (
	"container/list"
	"hash/maphash"
	"sync"

	"kresd/internal/limits"
	"kresd/internal/servertable"
	"kresd/internal/zonecut"
)

// Memory keeps Hosts. It may forget any of them at any time.
type Memory interface {
	// Load is what is known of a server; the zero Host when nothing is.
	Load(key servertable.Key) Host
	// Update applies an event to what is known of a server and returns its ok;
	// false, too, when that could not be done.
	Update(key servertable.Key, e Event) bool
	// Each shows all there is, in no order, until fn is false.
	Each(fn func(servertable.Key, Host) bool)
	// Clear forgets everything.
	Clear()
}

// keyOf is the key under which an endpoint is remembered. Endpoints of one address
// whose peers happen to have one Kind share what is known of them, which is no more
// than how fast they are and what they can do.
func keyOf(e zonecut.Endpoint) servertable.Key {
	return servertable.Key{Addr: e.Addr, Kind: e.Peer.Kind()}
}

const (
	shards   = 64
	perShard = limits.ServersAlone / shards // hosts or lame servers
)

// lru is a bounded map, sharded so that two questions rarely meet at a lock.
// The hash is seeded, because the keys come from strangers.
type lru[K comparable, V any] struct {
	seed   maphash.Seed
	shards [shards]struct {
		sync.Mutex
		byKey map[K]*list.Element
		order list.List // most recently used first
	}
}

type lruEntry[K comparable, V any] struct {
	key K
	val V
}

func newLRU[K comparable, V any]() *lru[K, V] {
	l := &lru[K, V]{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].byKey = make(map[K]*list.Element)
	}
	return l
}

func (l *lru[K, V]) load(key K) (v V, ok bool) {
	s := &l.shards[maphash.Comparable(l.seed, key)%shards]
	s.Lock()
	defer s.Unlock()
	e := s.byKey[key]
	if e == nil {
		return v, false
	}
	s.order.MoveToFront(e)
	return e.Value.(*lruEntry[K, V]).val, true
}

func (l *lru[K, V]) update(key K, change func(*V)) {
	s := &l.shards[maphash.Comparable(l.seed, key)%shards]
	s.Lock()
	defer s.Unlock()
	if e := s.byKey[key]; e != nil {
		s.order.MoveToFront(e)
		change(&e.Value.(*lruEntry[K, V]).val)
		return
	}
	entry := &lruEntry[K, V]{key: key}
	change(&entry.val)
	s.byKey[key] = s.order.PushFront(entry)
	if s.order.Len() > perShard {
		last := s.order.Back()
		delete(s.byKey, s.order.Remove(last).(*lruEntry[K, V]).key)
	}
}

// each shows copies, so that fn is not called with a lock held.
func (l *lru[K, V]) each(fn func(K, V) bool) {
	for i := range l.shards {
		s := &l.shards[i]
		s.Lock()
		list := make([]lruEntry[K, V], 0, s.order.Len())
		for e := s.order.Front(); e != nil; e = e.Next() {
			list = append(list, *e.Value.(*lruEntry[K, V]))
		}
		s.Unlock()
		for _, e := range list {
			if !fn(e.key, e.val) {
				return
			}
		}
	}
}

func (l *lru[K, V]) clear() {
	for i := range l.shards {
		s := &l.shards[i]
		s.Lock()
		clear(s.byKey)
		s.order.Init()
		s.Unlock()
	}
}

// hosts is the Memory of one worker.
type hosts struct{ *lru[servertable.Key, Host] }

// NewMemory is a bounded Memory in this process.
func NewMemory() Memory { return hosts{newLRU[servertable.Key, Host]()} }

func (h hosts) Load(key servertable.Key) Host {
	v, _ := h.load(key)
	return v
}

func (h hosts) Update(key servertable.Key, e Event) (ok bool) {
	h.update(key, func(v *Host) { *v, ok = e.Apply(*v) })
	return ok
}

func (h hosts) Each(fn func(servertable.Key, Host) bool) { h.each(fn) }

func (h hosts) Clear() { h.clear() }
