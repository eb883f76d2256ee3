package trustanchor

import "kresd/internal/dnsname"

// fallback is what becomes of the root's anchors where a configuration gives none.
type fallback struct {
	off  bool   // nothing is trusted
	file string // instead of the built-in ones
}

// SetDefault says which key file is read where the configuration gives no anchors
// of the root; "" for none, and then the built-in ones are not used either.
func (s *Store) SetDefault(file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fallback.off, s.fallback.file = file == "", file
}

// Default is the key file that is read where the configuration gives no anchors of
// the root; "" with builtin where the built-in ones are trusted. Nothing is where it
// gave some, or wants none.
func (s *Store) Default() (file string, builtin bool) {
	s.mu.Lock()
	f := s.fallback
	s.mu.Unlock()
	if f.off || s.Snapshot().Sets[dnsname.Root] != nil {
		return "", false
	}
	return f.file, f.file == ""
}

// UseBuiltin has the built-in anchors of the root be trusted.
func (s *Store) UseBuiltin() { s.put(Builtin()) }

// IANA is where the root's trust anchors are published (RFC 9718, section 3).
const IANA = "https://data.iana.org/root-anchors/root-anchors.xml"

// A Source is where the root's first anchors are fetched.
type Source struct {
	// URL is that of root-anchors.xml; "" for IANA.
	URL string
	// CA is a file with certificates by which the signature beside it is believed; ""
	// for ICANN's, which is built in.
	CA string
}

// Source is where first anchors are fetched.
func (s *Store) Source() Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source
}

// SetSource changes where first anchors are fetched.
func (s *Store) SetSource(fn func(*Source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(&s.source)
	if s.source.URL == "" {
		s.source.URL = IANA
	}
}
