package hints

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/textfile"
	"kresd/internal/zonecut"
)

// sources are what the table was made of, so that its files can be read again: files,
// in the order in which they were loaded, and what scripts changed between. Of all
// changes of one hint after the same file only the last counts, so that one that is
// set again and again takes no more room.
type sources struct {
	files []string
	edits map[editKey]edit
	count uint64 // edits so far

	rootFile string // of the root hints; "" where they are of no file
}

// An editKey is what an edit is about.
type editKey struct {
	stage int // files that were loaded before
	name  dnsname.Name
	addr  netip.Addr // invalid: all addresses of the name
}

// An edit adds an address to a name, or removes it.
type edit struct {
	number uint64 // in the order of all
	adds   bool
}

// loaded takes note of a file. One that is loaded again counts as loaded now.
func (s *sources) loaded(path string) {
	if at := slices.Index(s.files, path); at >= 0 {
		s.files = slices.Delete(s.files, at, at+1)
		moved := map[editKey]edit{}
		for p, e := range s.edits {
			if p.stage > at {
				p.stage--
			}
			if moved[p].number <= e.number {
				moved[p] = e
			}
		}
		s.edits = moved
	}
	s.files = append(s.files, path)
}

// edited takes note of a change by a script; addr is invalid for all of a name.
func (s *sources) edited(name dnsname.Name, addr netip.Addr, adds bool) {
	if s.edits == nil {
		s.edits = map[editKey]edit{}
	}
	p := editKey{len(s.files), name, addr}
	if !addr.IsValid() {
		maps.DeleteFunc(s.edits, func(other editKey, _ edit) bool { return other.stage == p.stage && other.name == name })
	}
	if !adds && p.stage == 0 { // nothing was there before that could come again
		delete(s.edits, p)
		return
	}
	s.count++
	s.edits[p] = edit{s.count, adds}
}

// forget drops all but the root hints.
func (s *sources) forget() { *s = sources{rootFile: s.rootFile} }

// build makes the table anew from its files, as they are now.
func (s *sources) build(read textfile.Reader, warn func(line string)) (*table, error) {
	t := newTable()
	var failed []error
	places := slices.SortedFunc(maps.Keys(s.edits), func(a, b editKey) int {
		return cmp.Or(a.stage-b.stage, cmp.Compare(s.edits[a].number, s.edits[b].number))
	})
	for stage := 0; ; stage++ {
		for ; len(places) > 0 && places[0].stage == stage; places = places[1:] {
			p := places[0]
			if s.edits[p].adds {
				t.add(p.name, p.addr)
			} else {
				t.remove(p.name, p.addr)
			}
		}
		if stage == len(s.files) {
			return t, errors.Join(failed...)
		}
		if _, err := t.loadHosts(read, s.files[stage], warn); err != nil {
			failed = append(failed, fmt.Errorf("hints: %w", err))
		}
	}
}

// reread implements module.Instance.
func (h *hints) reread() (apply func(), err error) {
	var cut *zonecut.Cut
	t, err := h.sources.build(h.files, h.warn)
	if path := h.sources.rootFile; path != "" {
		read, failed := h.roots.ReadRootHints(path)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("hints.root_file: %w", failed))
		}
		cut = read
	}
	return func() {
		if len(h.sources.files) > 0 {
			h.table.Store(t)
		}
		if cut != nil {
			h.roots.SetRootHints(cut)
		}
	}, err
}
