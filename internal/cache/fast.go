package cache

import (
	"bytes"
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A Fast answers from the cache on a listener's thread. It belongs to that
// thread: Begin, any number of Answer, End for each batch, Close at the end.
// Answer allocates nothing and takes no lock. A panic that leaves Answer leaves
// the Fast usable; End must be called all the same.
type Fast struct {
	c  *Cache
	mu sync.Mutex // held from Begin to End, so that Swap waits for the batch

	store    Store
	reader   Reader
	reading  bool
	now      int64
	clears   uint64 // the clear number of what is read
	reorder  bool
	rotation uint32
	body     reply.Body
	key      [scratchKey]byte
	copied   [limits.MaxCacheEntryBytes]byte
	gap      gapAnswer
	n        fastCounts
}

// NewFast returns a Fast for the calling thread.
func (c *Cache) NewFast() *Fast {
	f := &Fast{c: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fasts[f] = struct{}{}
	return f
}

// Close gives the Fast up. It must not be between Begin and End.
func (f *Fast) Close() {
	f.detach()
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if _, ok := f.c.fasts[f]; ok {
		delete(f.c.fasts, f)
		f.c.gone.hit.Add(f.n.hit.Load())
		f.c.gone.miss.Add(f.n.miss.Load())
		f.c.gone.damaged.Add(f.n.damaged.Load())
		f.c.gone.gap.Add(f.n.gap.Load())
	}
}

// detach lets go of the Store.
func (f *Fast) detach() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reader != nil {
		f.reader.Close()
	}
	f.store, f.reader = nil, nil
}

// Begin starts a batch at the given wall second. While the cache is closed or
// cannot be read, every Answer misses.
func (f *Fast) Begin(now int64) {
	f.mu.Lock()
	f.now = now
	if s := f.c.current(); s != f.store || f.reader == nil {
		f.attach(s)
	}
	f.reading = f.reader != nil && f.reader.Begin() == nil
	if f.reading {
		f.clears = f.reader.ClearNumber()
		f.reorder = f.c.Reorder()
	}
}

func (f *Fast) attach(s Store) {
	if f.reader != nil {
		f.reader.Close()
	}
	f.store, f.reader = s, nil
	if s == nil {
		return
	}
	if r, err := s.NewReader(); err == nil {
		f.reader = r
	}
}

// End ends a batch.
func (f *Fast) End() {
	if f.reading {
		f.reading = false
		f.reader.End()
	}
	f.mu.Unlock()
}

// Answer words the answer to q that a partition holds in out's memory, or finds
// that the driver's way has to be taken. The shape's age and rotation are the
// Fast's to say. It never writes beyond out's capacity.
func (f *Fast) Answer(in resolve.Partition, q *wire.Question, out []byte, shape reply.Shape) (msg []byte, ok bool) {
	return f.answer(in, q, out, shape, true)
}

// Exact is Answer with what was said to the same question only. The question goes to
// servers that the operator named, and what is proven of a zone above says nothing about it.
func (f *Fast) Exact(in resolve.Partition, q *wire.Question, out []byte, shape reply.Shape) (msg []byte, ok bool) {
	return f.answer(in, q, out, shape, false)
}

func (f *Fast) answer(in resolve.Partition, q *wire.Question, out []byte, shape reply.Shape, gaps bool) (msg []byte, ok bool) {
	if f.reading {
		if age, found := f.find(in, q, gaps); found {
			shape.Age = age
			msg = f.word(q, out, shape)
		}
	}
	if msg == nil {
		f.n.miss.Add(1)
		return nil, false
	}
	f.n.hit.Add(1)
	return msg, true
}

// find copies the entry for q out of the map and checks the copy; f.body points
// into it. With gaps, it may be the one for a gap that the name is in.
func (f *Fast) find(in resolve.Partition, q *wire.Question, gaps bool) (age uint32, ok bool) {
	name, ok := dnsname.AppendWireKey(f.key[:0], q.Name)
	if !ok {
		return 0, false
	}
	key := appendAnswer(appendPartition(name, in), q.Type, q.Class, variant(q.DO, q.CD()))
	if len(key) > maxKey {
		return 0, false
	}
	n, found := f.fetch(key)
	switch {
	case !found && gaps:
		return f.denied(in, q, name)
	case !found:
		return 0, false
	}
	h, body, ok := open(key, f.copied[:n])
	var clears uint64
	if ok {
		clears, ok = decodeAnswer(h, body, &f.body)
	}
	if !ok {
		f.damaged(key, f.copied[:n])
		return 0, false
	}
	age, _, ok = h.age(f.now)
	return age, ok && clears == f.clears && mayAnswer(h.rank, q.CD())
}

// fetch copies the value under key. The bytes belong to a file that may be cut
// off at any moment; that fault is a miss.
func (f *Fast) fetch(key []byte) (n int, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			n, ok = 0, false
			onlyFault(v)
		}
	}()
	val, ok := f.reader.Get(key)
	if !ok {
		return 0, false
	}
	if len(val) > len(f.copied) {
		return 0, true // no entry of ours
	}
	return copy(f.copied[:], val), true
}

// onlyFault goes on with a panic that is no fault of the map.
func onlyFault(v any) {
	if _, fault := v.(interface{ Addr() uintptr }); !fault {
		panic(v)
	}
}

// damaged forgets an entry that cannot be believed.
func (f *Fast) damaged(key, seen []byte) {
	f.n.damaged.Add(1)
	deleteSeen(f.store, key, bytes.Clone(seen))
}

// word makes the message for q, nil when that is the driver's business.
func (f *Fast) word(q *wire.Question, out []byte, shape reply.Shape) []byte {
	if f.reorder {
		if f.body.Steady {
			return nil
		}
		f.rotation++
		shape.Rotate = f.rotation
	}
	if f.body.MaxLen(q, &shape) > cap(out) {
		return nil
	}
	return f.body.Finish(out, q, shape)
}
