package limits

import (
	"net/netip"
	"sync"
)

// Shares are places of which a client gets no more while it has a quarter as many as are
// free. So a single client has a fifth of them at most, and only dozens of clients, each
// with all that it may have, leave none for the next. Callers with a zero key (loopback and
// forwarders, Clients.Key) may take all that are free. Many goroutines may use Shares at
// once.
type Shares struct {
	mu    sync.Mutex
	most  int
	taken int
	of    map[netip.Addr]int // that are counted for somebody
}

// NewShares makes so many places.
func NewShares(most int) *Shares { return &Shares{most: most, of: map[netip.Addr]int{}} }

// Take takes a place for a client, or tells that there is none for him.
func (s *Shares) Take(client netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	free := s.most - s.taken
	if free <= 0 || client.IsValid() && s.of[client]*ShareOfFree >= free {
		return false
	}
	s.taken++
	if client.IsValid() {
		s.of[client]++
	}
	return true
}

// Give gives back a place that was taken for this client.
func (s *Shares) Give(client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if !client.IsValid() {
		return
	}
	if s.of[client]--; s.of[client] <= 0 {
		delete(s.of, client)
	}
}

// Taken is how many places are taken.
func (s *Shares) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
