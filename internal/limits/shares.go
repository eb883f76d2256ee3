package limits

import (
	"net/netip"
	"sync"
)

// Shares are places of which a client takes no more while he has a quarter as many as are
// free: one alone has a fifth of them, and it takes dozens, each with all that he may
// have, until the next finds none. What is counted for nobody (a zero key: loopback and forwarders, Clients.Key) has all that are
// free. Many goroutines may use them at once.
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
