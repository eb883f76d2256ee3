package trustanchor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kresd/internal/dnsname"
	"kresd/internal/wording"
)

// ErrNoFile: there is no key file, and the first anchors cannot be fetched yet.
var ErrNoFile = errors.New("no such file or directory, and fetching the first trust anchors is not in this version; " +
	"write the zone's DS or DNSKEY records to the file")

// AddFile reads the anchors of one zone from a key file and puts them in place of
// those that the zone had; replaced tells that it had some. A file that is not
// read-only must stand in a directory that can be written to.
func (s *Store) AddFile(path string, readonly bool) (set *KeySet, replaced bool, err error) {
	if set, err = readFile(path, readonly); err != nil {
		return nil, false, wording.Record(path, err)
	}
	old := s.Snapshot().Sets[set.Owner]
	if old != nil && old.File == path && old.Managed && set.Managed && set.Owner.IsRoot() {
		return old, false, nil
	}
	s.change(func(next *Snapshot) { next.Sets[set.Owner] = set })
	return set, old != nil, nil
}

func readFile(path string, readonly bool) (*KeySet, error) {
	if !readonly {
		if err := writable(path); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && !readonly:
		return nil, ErrNoFile
	case err != nil:
		return nil, wording.Reason(err)
	}
	sets, err := parse(string(text))
	if err != nil {
		return nil, err
	}
	if len(sets) > 1 {
		return nil, fmt.Errorf("anchors of one zone are expected, not of %s and %s", sets[0].Owner, sets[1].Owner)
	}
	sets[0].File, sets[0].Managed = path, !readonly
	return sets[0], nil
}

// writable tries whether a file can be made beside path.
func writable(path string) error {
	lock := path + ".lock"
	f, err := os.OpenFile(lock, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("the directory %s cannot be written to (%w); a file that is managed by hand is read-only: add_file(path, true)",
			filepath.Dir(path), wording.Reason(err))
	}
	f.Close()
	return wording.Reason(os.Remove(lock))
}

// ParseName reads the name of a zone.
func ParseName(text string) (dnsname.Name, error) {
	n, err := dnsname.Parse(text)
	if err != nil {
		return "", fmt.Errorf("'%s' is no name: %w", text, err)
	}
	return n, nil
}
