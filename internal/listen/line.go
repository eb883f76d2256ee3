package listen

import "net/netip"

// A line keeps elements in the order in which they came, and counts them by
// client. The links are in the elements, so that to join and to leave costs no
// memory and no search. Its owner's lock guards it.
type line[T any, P placed[T]] struct {
	head    *T // who came first
	tail    *T
	n       int
	clients map[netip.Addr]int
}

// A position is where an element stands in a line. The element embeds it.
type position[T any] struct {
	prev, next *T
	in         bool
	key        netip.Addr // the client that it is counted for; invalid: none
}

func (p *position[T]) at() *position[T] { return p }

// placed is an element that embeds its position.
type placed[T any] interface {
	*T
	at() *position[T]
}

// join puts e, which is in no line, at the end.
func (l *line[T, P]) join(e P) {
	at := e.at()
	at.in, at.prev, at.next = true, l.tail, nil
	if l.tail != nil {
		P(l.tail).at().next = e
	} else {
		l.head = e
	}
	l.tail = e
	l.n++
	l.count(at.key, 1)
}

// leave takes e out. It returns false when e was not in.
func (l *line[T, P]) leave(e P) bool {
	at := e.at()
	if !at.in {
		return false
	}
	if at.prev != nil {
		P(at.prev).at().next = at.next
	} else {
		l.head = at.next
	}
	if at.next != nil {
		P(at.next).at().prev = at.prev
	} else {
		l.tail = at.prev
	}
	at.in, at.prev, at.next = false, nil, nil
	l.n--
	l.count(at.key, -1)
	return true
}

// count changes how many elements stand for a client.
func (l *line[T, P]) count(key netip.Addr, by int) {
	if !key.IsValid() {
		return
	}
	if l.clients == nil {
		l.clients = map[netip.Addr]int{}
	}
	if l.clients[key] += by; l.clients[key] <= 0 {
		delete(l.clients, key)
	}
}

// of tells how many stand for a client; nobody is counted for the invalid key.
func (l *line[T, P]) of(key netip.Addr) int { return l.clients[key] }

// all returns those for which keep is true, in order.
func (l *line[T, P]) all(keep func(*T) bool) []*T {
	var list []*T
	for e := l.head; e != nil; e = P(e).at().next {
		if keep(e) {
			list = append(list, e)
		}
	}
	return list
}
