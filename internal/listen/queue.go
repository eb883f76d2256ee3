package listen

import "net/netip"

// A queue keeps elements in the order in which they came, and counts them by
// client. The links are in the elements, so that adding and removing one costs
// neither memory nor a search. The lock of the queue's owner is held for it.
type queue[T any, P queued[T]] struct {
	head    *T // the oldest
	tail    *T
	n       int
	clients map[netip.Addr]int
}

// A position is where an element stands in a queue. The element embeds it.
type position[T any] struct {
	prev, next *T
	in         bool
	key        netip.Addr // the client that it is counted for; the zero Addr: none
}

func (p *position[T]) at() *position[T] { return p }

// queued is an element that embeds its position.
type queued[T any] interface {
	*T
	at() *position[T]
}

// push puts e, which is in no queue, at the end.
func (q *queue[T, P]) push(e P) {
	at := e.at()
	at.in, at.prev, at.next = true, q.tail, nil
	if q.tail != nil {
		P(q.tail).at().next = e
	} else {
		q.head = e
	}
	q.tail = e
	q.n++
	q.count(at.key, 1)
}

// remove takes e out. It returns false when e was not in the queue.
func (q *queue[T, P]) remove(e P) bool {
	at := e.at()
	if !at.in {
		return false
	}
	if at.prev != nil {
		P(at.prev).at().next = at.next
	} else {
		q.head = at.next
	}
	if at.next != nil {
		P(at.next).at().prev = at.prev
	} else {
		q.tail = at.prev
	}
	at.in, at.prev, at.next = false, nil, nil
	q.n--
	q.count(at.key, -1)
	return true
}

// count changes how many elements there are of a client.
func (q *queue[T, P]) count(key netip.Addr, by int) {
	if !key.IsValid() {
		return
	}
	if q.clients == nil {
		q.clients = map[netip.Addr]int{}
	}
	if q.clients[key] += by; q.clients[key] <= 0 {
		delete(q.clients, key)
	}
}

// countOf is how many elements there are of a client; nothing is counted for the
// zero Addr.
func (q *queue[T, P]) countOf(key netip.Addr) int { return q.clients[key] }

// all returns the elements for which keep is true, in order.
func (q *queue[T, P]) all(keep func(*T) bool) []*T {
	var list []*T
	for e := q.head; e != nil; e = P(e).at().next {
		if keep(e) {
			list = append(list, e)
		}
	}
	return list
}
