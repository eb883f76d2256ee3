package stats

import (
	"cmp"
	"container/list"
	"slices"
	"sync"

	"github.com/miekg/dns"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/resolve"
)

// sampleOneIn is how many questions stand for one that is counted.
const sampleOneIn = 10

// frequent counts questions, of which it remembers those that came last.
type frequent struct {
	mu    sync.Mutex
	byKey map[resolve.Question]*list.Element
	order list.List // of *often, the latest first
}

type often struct {
	resolve.Question
	count uint64
}

func (f *frequent) add(q resolve.Question) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey == nil {
		f.byKey = make(map[resolve.Question]*list.Element)
	}
	if e := f.byKey[q]; e != nil {
		e.Value.(*often).count++
		f.order.MoveToFront(e)
		return
	}
	if len(f.byKey) >= limits.FrequentNames {
		last := f.order.Back()
		delete(f.byKey, f.order.Remove(last).(*often).Question)
	}
	f.byKey[q] = f.order.PushFront(&often{q, 1})
}

func (f *frequent) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.byKey)
	f.order.Init()
}

// table lists the questions, the most frequent first.
func (f *frequent) table() *luavalue.Table {
	f.mu.Lock()
	all := make([]often, 0, len(f.byKey))
	for e := f.order.Front(); e != nil; e = e.Next() {
		all = append(all, *e.Value.(*often))
	}
	f.mu.Unlock()
	slices.SortStableFunc(all, func(a, b often) int { return cmp.Compare(b.count, a.count) })
	rows := make([]any, len(all))
	for i, o := range all {
		rows[i] = new(luavalue.Table).Add("count", float64(o.count)).Add("name", o.Name.String()).Add("type", dns.Type(o.Type).String())
	}
	return luavalue.List(rows...)
}
