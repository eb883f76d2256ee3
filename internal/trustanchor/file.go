package trustanchor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/textfile"
	"kresd/internal/wire"
	"kresd/internal/wording"
)

// ErrNoFile: there is no key file, and the root's first anchors have to be fetched.
var ErrNoFile = errors.New("the file does not exist")

// Loaded is what came of a key file.
type Loaded struct {
	Set *KeySet
	// Replaced tells that the zone had anchors that somebody gave, which are gone.
	Replaced bool
	// Known tells that the file was loaded before and nothing changed.
	Known bool
	// Damage is why the file could not be understood; Set is then what is trusted
	// instead, until the file is written anew.
	Damage error
}

// AddFile reads the anchors of one zone from a key file and puts them in place of
// those that the zone had. A file that is not read-only must stand in a directory
// that can be written to. Where such a file is what a crash leaves of one, the
// root's anchors that are known otherwise stay in force.
func (s *Store) AddFile(path string, readonly bool) (Loaded, error) {
	if path == "" {
		return Loaded{}, errors.New("the file name is empty")
	}
	if !readonly {
		if err := writable(path); err != nil {
			return Loaded{}, wording.Record(path, err)
		}
	}
	set, err := readFile(path, readonly)
	if errors.Is(err, errDamaged) && !readonly {
		return s.despite(path, err), nil
	}
	if err != nil {
		return Loaded{}, wording.Record(path, err)
	}
	old := s.Snapshot().Sets[set.Owner]
	if old != nil && old.File == path && old.Managed && set.Managed && set.Owner.IsRoot() {
		return Loaded{Set: old, Known: true}, nil
	}
	s.put(set)
	return Loaded{Set: set, Replaced: old != nil && !old.builtIn()}, nil
}

// AddFetched puts anchors that were fetched for a key file in place of those that
// their zone had.
func (s *Store) AddFetched(path string, set *KeySet) {
	set = set.clone()
	set.File, set.Managed, set.Fetched = path, true, true
	s.put(set)
}

// despite has the anchors of the root in force that are known, or the built-in ones,
// although its key file is damaged.
func (s *Store) despite(path string, damage error) Loaded {
	old := s.Snapshot().Sets[dnsname.Root]
	known := old
	if old == nil || old.Trusted() == 0 {
		known = Builtin()
	}
	set := known.clone()
	set.File, set.Managed = path, true
	s.put(set)
	return Loaded{Set: set, Damage: wording.Record(path, damage)}
}

// Reread reads the file of a managed set again, and has what it says take the place
// of the set, unless something else has. changed is the set that is in force then;
// nil when the file says what is known.
func (s *Store) Reread(old *KeySet) (changed *KeySet, err error) {
	set, err := readFile(old.File, !old.Managed)
	if err == nil && set.Owner != old.Owner {
		err = fmt.Errorf("anchors of %s are expected, not of %s", old.Owner, set.Owner)
	}
	switch {
	case err != nil:
		return nil, wording.Record(old.File, err)
	case set.Equal(old) || !s.Replace(old, set):
		return nil, nil
	}
	return set, nil
}

// errDamaged says that a file is what a crash or a full disk leaves of a key file.
var errDamaged = errors.New("the file is cut off")

func readFile(path string, readonly bool) (*KeySet, error) {
	octets, err := textfile.Read(path, limits.AnchorFile)
	switch {
	case errors.Is(err, os.ErrNotExist) && !readonly:
		return nil, ErrNoFile
	case err != nil:
		return nil, wording.Reason(err)
	}
	text := string(octets)
	sets, err := parse(text)
	switch {
	case err != nil && cutOff(text):
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	case err != nil:
		return nil, err
	case endsInHalfAKey(text):
		return nil, fmt.Errorf("%w: its last key is not whole", errDamaged)
	case len(sets) > 1:
		return nil, fmt.Errorf("anchors of one zone are expected, not of %s and %s", sets[0].Owner, sets[1].Owner)
	}
	set := sets[0]
	// A key that is no longer one is remembered until the process ends.
	set.Keys = slices.DeleteFunc(set.Keys, func(k Key) bool { return k.State == Removed })
	set.File, set.Managed = path, !readonly
	return set, nil
}

// cutOff tells whether a text that could not be understood looks like the beginning
// of one, rather than like another kind of file: nothing, octets that were never
// written, a last line without an end, or a header and nothing more.
func cutOff(text string) bool {
	return text == "" || strings.Contains(text, "\x00") || !strings.HasSuffix(text, "\n") || strings.HasPrefix(text, header)
}

// endsInHalfAKey tells whether the last line has no end and its key is one of RSA whose
// length nobody uses: a key of another algorithm has one length, and a half one cannot
// be read.
func endsInHalfAKey(text string) bool {
	line := text[strings.LastIndexByte(text, '\n')+1:]
	sets, err := parse(line)
	if line == "" || err != nil {
		return false
	}
	const step = 256 // bits between the usual lengths
	for i := range sets[0].Keys {
		if k, ok := dnssec.ParseKey(sets[0].Keys[i].RData); ok && sets[0].Keys[i].Type == wire.TypeDNSKEY && k.Bits()%step != 0 {
			return true
		}
	}
	return false
}

// writable tries whether a file can be made beside path.
func writable(path string) error {
	l, err := TryLock(path)
	if errors.Is(err, ErrLocked) {
		return nil // somebody else could
	}
	if err != nil {
		return err
	}
	return l.Release()
}
