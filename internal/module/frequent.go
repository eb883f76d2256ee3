package module

import (
	"cmp"
	"container/list"
	"slices"
	"sync"

	"kresd/internal/luavalue"
	"kresd/internal/resolve"
)

// Frequent counts questions, of which it remembers those that came last. It is safe
// for concurrent use.
type Frequent struct {
	room  int
	mu    sync.Mutex
	byKey map[resolve.Question]*list.Element
	order list.List // of *often, the latest first
}

type often struct {
	resolve.Question
	count uint64
}

// NewFrequent makes a Frequent that remembers up to room questions.
func NewFrequent(room int) *Frequent {
	return &Frequent{room: room, byKey: make(map[resolve.Question]*list.Element)}
}

// Add counts a question.
func (f *Frequent) Add(q resolve.Question) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.byKey[q]; e != nil {
		e.Value.(*often).count++
		f.order.MoveToFront(e)
		return
	}
	if len(f.byKey) >= f.room {
		last := f.order.Back()
		delete(f.byKey, f.order.Remove(last).(*often).Question)
	}
	f.byKey[q] = f.order.PushFront(&often{q, 1})
}

// Clear forgets all.
func (f *Frequent) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.byKey)
	f.order.Init()
}

// Table lists the questions as scripts see them, the most frequent first. typeText is
// a type as people write it.
func (f *Frequent) Table(typeText func(uint16) string) *luavalue.Table {
	f.mu.Lock()
	all := make([]often, 0, len(f.byKey))
	for e := f.order.Front(); e != nil; e = e.Next() {
		all = append(all, *e.Value.(*often))
	}
	f.mu.Unlock()
	slices.SortStableFunc(all, func(a, b often) int { return cmp.Compare(b.count, a.count) })
	rows := make([]any, len(all))
	for i, o := range all {
		rows[i] = new(luavalue.Table).Add("count", float64(o.count)).Add("name", o.Name.String()).Add("type", typeText(o.Type))
	}
	return luavalue.List(rows...)
}
