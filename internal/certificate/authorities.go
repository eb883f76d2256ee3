package certificate

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"kresd/internal/limits"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// Authorities are files of certificates of authorities that servers may have to be
// vouched for by (ca_file). Its methods may be called by any goroutine.
type Authorities struct {
	// Notice and Warn are told what an operator wants to know, Changed which file has
	// other certificates than before. None may wait.
	Notice, Warn, Changed func(text string)

	use   textfile.Reader
	named chan struct{} // another file is in use

	mu    sync.Mutex
	files map[string]*authorityFile
}

// authorityFile is a file as it was when it could be read last.
type authorityFile struct {
	sum   [sha256.Size]byte
	certs []*x509.Certificate
	wrong string // why it could not be read since, which was told
}

// NewAuthorities uses no files yet. use reads those that are to be used.
func NewAuthorities(use textfile.Reader, notice, warn, changed func(text string)) *Authorities {
	return &Authorities{use: use, Notice: notice, Warn: warn, Changed: changed, named: make(chan struct{}, 1), files: map[string]*authorityFile{}}
}

// Use reads a file, which is looked at from then on, or fails and changes nothing. The
// error names the file and what is wrong with it.
func (a *Authorities) Use(file string) error {
	f, err := readAuthorities(a.use, file)
	if err != nil {
		return err
	}
	a.mu.Lock()
	old := a.files[file]
	a.files[file] = f
	a.mu.Unlock()
	switch {
	case old == nil:
		select {
		case a.named <- struct{}{}:
		default:
		}
	case old.sum != f.sum:
		a.Changed(file)
	}
	return nil
}

// readAuthorities reads a file in PEM.
func readAuthorities(read textfile.Reader, file string) (f *authorityFile, err error) {
	err = read(file, func(open io.Reader, err error) error {
		var text []byte
		if err == nil {
			text, err = textfile.All(open, file, limits.AuthoritiesFile)
		}
		if err != nil {
			return fmt.Errorf("ca_file '%s': %w", file, wording.Reason(err))
		}
		f, err = parseAuthorities(file, text)
		return err
	})
	return f, err
}

// parseAuthorities reads the text of a file.
func parseAuthorities(file string, text []byte) (f *authorityFile, err error) {
	f = &authorityFile{}
	f.sum = sha256.Sum256(text)
	if f.certs, err = certificates(text); err != nil {
		return nil, fmt.Errorf("ca_file '%s': %w", file, err)
	}
	if len(f.certs) == 0 {
		return nil, fmt.Errorf("ca_file '%s' has no certificate in PEM", file)
	}
	return f, nil
}

// Pool is the certificates of those among files that are in use (Use); the others add none.
func (a *Authorities) Pool(files []string) *x509.CertPool {
	pool := x509.NewCertPool()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, file := range files {
		if f := a.files[file]; f != nil {
			for _, c := range f.certs {
				pool.AddCert(c)
			}
		}
	}
	return pool
}

// Reread sees whether all files can be used as they are now, and returns what has them
// used. After an error all stay in use that were read before.
func (a *Authorities) Reread() (apply func(), err error) {
	var wrong []error
	for _, file := range a.inUse() {
		if _, err := readAuthorities(textfile.Disk, file); err != nil {
			wrong = append(wrong, err)
		}
	}
	return a.Reload, errors.Join(wrong...)
}

// Reload reads the files again. It tells what it found, unless nothing changed since it
// looked last. Of a file that cannot be read the certificates stay in use that were read
// before.
func (a *Authorities) Reload() {
	for _, file := range a.inUse() {
		f, err := readAuthorities(textfile.Disk, file)
		changed, bad := a.replace(file, f, err)
		switch {
		case bad:
			a.Warn(fmt.Sprintf("the authorities that were read before stay in use: %v", err))
		case changed:
			a.Notice(fmt.Sprintf("ca_file '%s' was read again: certificates of authorities: %d", file, len(f.certs)))
			a.Changed(file)
		}
	}
}

// replace puts in force what was read, and tells whether it is other than before, or
// newly bad.
func (a *Authorities) replace(file string, f *authorityFile, err error) (changed, bad bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.files[file]
	switch {
	case err != nil:
		bad = old.wrong != err.Error()
		old.wrong = err.Error()
	case f.sum == old.sum:
		old.wrong = ""
	default:
		a.files[file], changed = f, true
	}
	return changed, bad
}

// inUse are the names of all files.
func (a *Authorities) inUse() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]string, 0, len(a.files))
	for file := range a.files {
		list = append(list, file)
	}
	slices.Sort(list)
	return list
}
