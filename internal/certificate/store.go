package certificate

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/filewatch"
	"kresd/internal/limits"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// Options are what a Store needs of its surroundings.
type Options struct {
	Clock *clock.Clock
	// Files reads the files of a pair that is to be used; default textfile.Disk.
	Files textfile.Reader
	// Hostname is the name of this host that an ephemeral certificate bears.
	Hostname func() string
	// Authorities are watched along; nil: none.
	Authorities *Authorities
	// Notice, Alert and Warn are told what an operator wants to know; none may wait.
	// What the first two are told is the same in all processes that have the same
	// files and name; Warn is told what went wrong in this one.
	Notice, Alert, Warn func(line string)
}

// A Store has the certificate that is in use. Its methods may be called by any
// goroutine.
type Store struct {
	o       Options
	now     atomic.Pointer[inUse]
	renamed chan struct{} // other files are in use
	watch   *filewatch.Watch

	mu    sync.Mutex
	files files // that were read last; no names: the ephemeral certificate is in use
	wrong files // that were read in vain after these, which was told
	key   crypto.Signer
	users []int // to whom its file may belong, beside this process's and the directory's
	told  int   // which of the stages of its end was told (dates.go)
}

// inUse is a certificate in use.
type inUse struct {
	*tls.Certificate
	// Of an ephemeral certificate: its name, and when it is replaced.
	ephemeral bool
	host      string
	until     time.Time
}

// NewStore is one that uses the ephemeral certificate.
func NewStore(o Options) *Store {
	if o.Authorities == nil {
		o.Authorities = &Authorities{}
	}
	if o.Files == nil {
		o.Files = textfile.Disk
	}
	s := &Store{o: o, renamed: make(chan struct{}, 1)}
	s.watch = s.newWatch()
	return s
}

// Expect says which user this process is about to become, to whom the key's file was
// handed over when it did so before (HandOver).
func (s *Store) Expect(uid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = append(s.users, uid)
}

// Get is for tls.Config.GetCertificate.
func (s *Store) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := s.now.Load(); c != nil && !s.over(c) {
		return c.Certificate, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.now.Load(); c != nil && !s.over(c) {
		return c.Certificate, nil
	}
	return s.renewLocked()
}

// Ready tells whether there is a certificate already that clients will be shown.
func (s *Store) Ready() bool {
	c := s.now.Load()
	return c != nil && !s.over(c)
}

// over tells whether an ephemeral certificate is to be replaced.
func (s *Store) over(c *inUse) bool {
	return c.ephemeral && (c.host != s.o.Hostname() || s.o.Clock.Now().After(c.until))
}

// renewLocked makes an ephemeral certificate.
func (s *Store) renewLocked() (*tls.Certificate, error) {
	if err := s.findKeyLocked(); err != nil {
		return nil, err
	}
	host, now := s.o.Hostname(), s.o.Clock.Now()
	made, err := selfSigned(s.key, host, now)
	if err != nil {
		return nil, err
	}
	s.now.Store(&inUse{Certificate: made, ephemeral: true, host: host, until: made.Leaf.NotAfter.Add(-limits.CertificateRenewal)})
	s.o.Notice(fmt.Sprintf("an ephemeral certificate for '%s' serves clients until %s, pin-sha256 '%s'",
		wording.Printable(host), made.Leaf.NotAfter.UTC().Format(time.DateOnly), Pin(made.Leaf)))
	return made, nil
}

// findKeyLocked finds the key of ephemeral certificates. Without one that others have,
// one of this process alone serves: clients that look at no pin are served.
func (s *Store) findKeyLocked() error {
	if s.key != nil {
		return nil
	}
	key, exposed, err := sharedKey(s.users...)
	if exposed != "" {
		s.o.Warn(fmt.Sprintf("the key in '%s' is not used any more: %s; a new one is made, so clients that know the resolver by its pin need the new pin", KeyFile, exposed))
	}
	if err != nil {
		s.o.Warn(fmt.Sprintf("the key of the ephemeral certificate cannot be kept in '%s' (%v): each process has its own until it ends; "+
			"make the file readable and writable for kresd, or name a certificate: net.tls('server.crt', 'server.key')", KeyFile, err))
		key, _, err = newKey()
	}
	s.key = key
	return err
}

// Use replaces the certificate by that of a pair of files, or fails and replaces
// nothing.
func (s *Store) Use(certFile, keyFile string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := readPair(s.o.Files, certFile, keyFile)
	if err != nil {
		return err
	}
	if err := s.takeLocked(f); err != nil {
		return err
	}
	select {
	case s.renamed <- struct{}{}:
	default:
	}
	return nil
}

// takeLocked puts what was read into use.
func (s *Store) takeLocked(f files) error {
	pair, err := f.pair()
	if err != nil {
		return err
	}
	s.files, s.wrong, s.told = f, files{}, 0
	s.now.Store(&inUse{Certificate: pair})
	s.remindLocked()
	return nil
}

// Files are the names of the pair in use, "" for the ephemeral certificate.
func (s *Store) Files() (certFile, keyFile string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files.certFile, s.files.keyFile
}

// Reread sees whether the files can be used as they are now, and returns what has them
// used. After an error the certificate that was read before stays in use.
func (s *Store) Reread() (apply func(), err error) {
	certFile, keyFile := s.Files()
	if certFile == "" {
		return func() {}, nil
	}
	f, err := readFiles(certFile, keyFile)
	if err == nil {
		_, err = f.pair()
	}
	return s.Reload, err
}

// Reload reads the files again. It tells what it found, unless nothing changed
// since it looked last, and whether the end of the certificate in use is near.
func (s *Store) Reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files.certFile == "" {
		return
	}
	defer s.remindLocked()
	f, err := readFiles(s.files.certFile, s.files.keyFile)
	switch {
	case err == nil && f.equal(s.files):
		s.wrong = files{}
		return
	case f.equal(s.wrong):
		return
	case err == nil:
		err = s.takeLocked(f)
	}
	if err != nil {
		s.wrong = f
		s.o.Warn(fmt.Sprintf("the certificate that was read before stays in use: %v", err))
		return
	}
	s.o.Notice(fmt.Sprintf("'%s' was read again: a certificate until %s, pin-sha256 '%s'",
		f.certFile, s.now.Load().Leaf.NotAfter.UTC().Format(time.DateOnly), Pin(s.now.Load().Leaf)))
}

// Leaf is the certificate that clients are shown now.
func (s *Store) Leaf() (*x509.Certificate, error) {
	c, err := s.Get(nil)
	if err != nil {
		return nil, err
	}
	return c.Leaf, nil
}
