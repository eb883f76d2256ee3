package lmdbcache

import (
	"fmt"
	"strings"
	"testing"
)

func newQueue(entries, octets int) *queue {
	q := &queue{}
	q.init(entries, octets)
	return q
}

// put queues a write, which hurries the writer as the tenth in line.
func (q *queue) put(key, val string) bool {
	accepted, _ := q.add(&op{key: []byte(key), val: []byte(val)}, 10)
	return accepted
}

// line is what waits in q, in its order.
func (q *queue) line() string {
	var all []string
	for _, o := range q.fifo {
		if o.job != nil {
			all = append(all, "job")
			continue
		}
		all = append(all, string(o.key)+"="+string(o.val))
	}
	return strings.Join(all, " ")
}

func TestAQueueTakesExactlyWhatItMay(t *testing.T) {
	q := newQueue(2, 1000)
	if !q.put("a", "1") || !q.put("b", "1") || q.put("c", "1") {
		t.Errorf("of two writes there are %q", q.line())
	}
	q = newQueue(100, 2*(64+2))
	if !q.put("a", "1") || !q.put("b", "1") || q.put("c", "1") {
		t.Errorf("of 132 octets there are %q", q.line())
	}
	if !q.put("b", "") || q.bytes != 64+2+64+1 {
		t.Errorf("%d octets after a write that is shorter by one", q.bytes)
	}
	batch, _ := q.take(nil, 1)
	if q.put("c", "") {
		t.Error("what the writer has in hand counts no more")
	}
	q.done(batch, nil)
	if q.bytes != 64+1 || q.length() != 1 || !q.put("c", "") {
		t.Errorf("%d octets in %d writes after one was written", q.bytes, q.length())
	}
	if full := newQueue(1, 1000); !full.put("a", "1") || !full.put("a", "2") || full.line() != "a=2" {
		t.Errorf("a full queue with a write of the same key: %q", full.line())
	}
}

// The writer is woken by the first write, and called when a batch is full or somebody
// waits.
func TestWhenTheWriterIsCalled(t *testing.T) {
	q := newQueue(100, 1<<20)
	for i := range 9 {
		q.put(fmt.Sprint(i), "")
	}
	if len(q.wake) != 1 || len(q.hurry) != 0 {
		t.Errorf("nine writes of ten: %d, %d calls", len(q.wake), len(q.hurry))
	}
	if q.put("9", ""); len(q.hurry) != 1 {
		t.Error("a batch is full and the writer is not called")
	}
	q = newQueue(100, 1<<20)
	if !q.addJob(&job{}) || len(q.wake) != 1 || len(q.hurry) != 1 {
		t.Errorf("somebody waits: %d, %d calls", len(q.wake), len(q.hurry))
	}
	q = newQueue(100, 1<<20)
	if q.end(); q.put("a", "") || q.addJob(&job{}) || len(q.wake)+len(q.hurry) != 0 || !q.empty() {
		t.Error("a queue that has ended takes something")
	}
}

func TestAJobStaysBehindTheWritesBeforeIt(t *testing.T) {
	q := newQueue(100, 1<<20)
	q.put("a", "1")
	q.put("b", "1")
	first := &job{}
	q.addJob(first)
	q.put("c", "1")
	var got []string
	for range 4 {
		batch, j := q.take(nil, 10)
		if j == first {
			got = append(got, "job")
		}
		for _, o := range batch {
			got = append(got, string(o.key))
		}
	}
	if s := strings.Join(got, " "); s != "a b job c" || !q.empty() || q.length() != 3 {
		t.Errorf("taken %q, %d are left", s, q.length())
	}
	q.put("d", "1")
	q.put("e", "1")
	if batch, _ := q.take(nil, 1); len(batch) != 1 || q.line() != "e=1" {
		t.Errorf("%d taken of one that was asked for, left %q", len(batch), q.line())
	}
}

// What the writer has in its transaction is not changed under it; what could not be
// written stands in line again, before all others, and gives way as before.
func TestWhatTheWriterHasInHand(t *testing.T) {
	q := newQueue(100, 1<<20)
	q.put("a", "1")
	q.put("b", "1")
	batch, _ := q.take(nil, 10)
	q.put("b", "2")
	if string(batch[1].val) != "1" || q.line() != "b=2" {
		t.Errorf("in hand %q, in line %q", batch[1].val, q.line())
	}
	if val, known := q.get([]byte("b")); !known || string(val) != "2" {
		t.Errorf("b is %q, %v", val, known)
	}
	q.done(batch[:1], batch[1:])
	if val, known := q.get([]byte("b")); !known || string(val) != "2" || q.length() != 1 {
		t.Errorf("b is %q, %v, %d writes", val, known, q.length())
	}
	if q.line() != "b=1 b=2" {
		t.Errorf("in line %q", q.line())
	}
	if _, known := q.get([]byte("a")); known {
		t.Error("what was written is still queued")
	}
	q = newQueue(100, 1<<20)
	q.put("a", "1")
	batch, _ = q.take(nil, 10)
	q.done(nil, batch)
	if q.put("a", "2"); q.line() != "a=2" {
		t.Errorf("in line %q: the write that came back did not give way", q.line())
	}
}

// A write takes the place of one that waits with all that belongs to it, and is not
// asked about the stored entry that was to be removed without asking.
func TestAWriteTakesThePlaceOfOneThatWaits(t *testing.T) {
	never := func(_, _, _ []byte) bool { return false }
	q := newQueue(100, 1<<20)
	key := []byte("k")
	q.add(&op{key: key, val: []byte("1"), seen: 1}, 10)
	if accepted, outranked := q.add(&op{key: key, val: []byte("2"), replace: never}, 10); accepted || !outranked {
		t.Errorf("accepted %v, outranked %v", accepted, outranked)
	}
	q.add(&op{key: key, val: []byte("3"), seen: 3, wide: true}, 10)
	if o := q.fifo[0]; len(q.fifo) != 1 || string(o.val) != "3" || o.seen != 3 || !o.wide || o.replace != nil {
		t.Errorf("%+v", o)
	}
	q.add(&op{key: key}, 10)
	q.add(&op{key: key, val: []byte("4"), replace: never}, 10)
	if o := q.fifo[0]; string(o.val) != "4" || o.replace != nil {
		t.Errorf("behind a removal: %+v", o)
	}
	q.take(nil, 10) // the writer may or may not write it
	if accepted, _ := q.add(&op{key: key, replace: never}, 10); accepted {
		t.Error("a removal that does not agree with what is being written")
	}
	if accepted, _ := q.add(&op{key: key}, 10); !accepted {
		t.Error("a removal is refused")
	}
	if batch, _ := q.take(nil, 10); len(batch) != 1 || batch[0].val != nil {
		t.Errorf("taken %d", len(batch))
	}
	q = newQueue(100, 1<<20)
	q.add(&op{key: key, replace: never}, 10)
	q.add(&op{key: key, val: []byte("5"), replace: never}, 10)
	if o := q.fifo[0]; o.replace == nil {
		t.Error("behind a removal that asks, what is stored has its say no more")
	}
}

func TestWhatIsQueuedIsFound(t *testing.T) {
	q := newQueue(100, 1<<20)
	for _, k := range []string{"b", "d", "ba", "c", "bb"} {
		q.put(k, "of "+k)
	}
	for key, want := range map[string]string{"a": "", "b": "b", "b0": "b", "ba": "ba", "bz": "bb", "c": "c", "z": "d"} {
		got := ""
		if o := q.floor([]byte(key)); o != nil {
			got = string(o.key)
		}
		if got != want {
			t.Errorf("not above %s: %q, want %q", key, got, want)
		}
	}
	for prefix, want := range map[string]string{"b": "b ba bb", "bb": "bb", "": "b ba bb c d", "a": "", "d": "d", "e": ""} {
		var got []string
		for _, o := range q.within([]byte(prefix)) {
			if got = append(got, string(o.key)); string(o.val) != "of "+string(o.key) {
				t.Errorf("%s is %q", o.key, o.val)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("within %q: %q, want %q", prefix, s, want)
		}
	}
	if val, known := q.get([]byte("x")); known || val != nil {
		t.Errorf("what was not queued: %q, %v", val, known)
	}
}
