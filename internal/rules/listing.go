package rules

import (
	"errors"
	"hash/maphash"
	"math"
	"runtime"
	"sync/atomic"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// A Verdict is what a listing says about a name.
type Verdict uint32

// Verdicts. Larger numbers are those of data, which answer (Data).
const (
	// Unlisted: nothing.
	Unlisted Verdict = iota
	// Given: the action of the rule.
	Given
	// ListPass, ListDrop and ListTruncate: the actions of these names, whatever the rule's is.
	ListPass
	ListDrop
	ListTruncate

	firstSet // of data
)

// A Listing is many names, each with its Verdict: a hash table over one block of octets,
// so that a name costs one probe for each of its labels. A large one lies outside of the
// heap, which would need as much room again (room.go). It is never changed once built.
//
// An entry has the verdict on the name itself and that on all names below it, of three
// octets each, and the name in wire form behind its length.
type Listing struct {
	octets []byte
	slots  []uint32 // 1 + where an entry begins; 0 is free
	tags   []byte   // of the slots: eight more bits of each name's hash, so that few others are looked at
	seed   maphash.Seed
	// depths has a bit for each number of labels that names occur with, exact and below.
	depths [2][2]uint64
	n      int    // verdicts
	digest uint64 // of all
	passes uint64 // of what leads to names being resolved, whatever the rule's action is
	data   *dataSets
}

const (
	entryVerdicts = 6 // octets of an entry before the length of the name
	// mostVerdict is what three octets hold. There are fewer sets of data than that: each but
	// the one without any has a record at least.
	mostVerdict = 1<<24 - 1
)

const _ = uint(mostVerdict - int(firstSet) - limits.ListSets/recordHead) // which is not negative

// Len is how many verdicts there are.
func (l *Listing) Len() int { return l.n }

// Octets is how much memory its names take.
func (l *Listing) Octets() int { return len(l.octets) + 5*len(l.slots) + len(l.data.octets) }

// find is the verdict on the subject's name: that on the name itself, else the one on all
// names below its closest ancestor that has one. at is how many octets of the subject's
// name stand before the name that is listed.
func (l *Listing) find(s *Subject) (v Verdict, at int) {
	name, left := s.Name(), s.labels
	if has(&l.depths[0], left) {
		if v, _ = l.at(name); v != Unlisted {
			return v, 0
		}
	}
	for name[at] != 0 {
		at += int(name[at]) + 1
		left--
		if has(&l.depths[1], left) {
			if _, v = l.at(name[at:]); v != Unlisted {
				return v, at
			}
		}
	}
	return Unlisted, 0
}

func has(depths *[2]uint64, labels int) bool { return depths[labels/64]&(1<<(labels%64)) != 0 }

// at are the verdicts on a name and on those below it.
func (l *Listing) at(name []byte) (exact, below Verdict) {
	if _, entry, found := l.look(name); found {
		exact, below = l.verdict(entry, 0), l.verdict(entry, 1)
	}
	runtime.KeepAlive(l) // its room is given back behind its end
	return exact, below
}

// look finds the entry of a name, or the free slot where it belongs. There is always one.
func (l *Listing) look(name []byte) (slot, entry int, found bool) {
	i, tag := l.place(name)
	for ; l.slots[i] != 0; i++ {
		if l.tags[i] == tag && string(l.nameAt(int(l.slots[i]-1))) == string(name) {
			return i, int(l.slots[i] - 1), true
		}
		if i == len(l.slots)-1 {
			i = -1
		}
	}
	return i, 0, false
}

// place is where to begin to look for a name, and its tag.
func (l *Listing) place(name []byte) (slot int, tag byte) {
	h := maphash.Bytes(l.seed, name)
	return int(h >> 32 * uint64(len(l.slots)) >> 32), byte(h)
}

func (l *Listing) nameAt(entry int) []byte {
	n := int(l.octets[entry+entryVerdicts])
	return l.octets[entry+entryVerdicts+1:][:n]
}

func (l *Listing) verdict(entry, below int) Verdict {
	o := l.octets[entry+3*below:]
	return Verdict(o[0]) | Verdict(o[1])<<8 | Verdict(o[2])<<16
}

func (l *Listing) setVerdict(entry, below int, v Verdict) {
	o := l.octets[entry+3*below:]
	o[0], o[1], o[2] = byte(v), byte(v>>8), byte(v>>16)
}

// Errors of Builder.
var (
	errOther    = errors.New("something else was said about the name before")
	errDataSize = errors.New("the name has too much data")
)

// ErrListFull is that of a listing with more than limits.ListOctets of names, or of data.
var ErrListFull = errors.New("the list has too many names or too much data to be kept")

// A Builder makes a Listing. What one name has is best put one behind the other.
type Builder struct {
	l     *Listing
	names int // entries
	known map[string]Verdict
	last  struct { // whose data are not in their place yet
		entry, below int
		data         []byte
	}
}

// NewBuilder makes a Builder. The names are expected to take about so many octets.
func NewBuilder(expected int64) *Builder {
	b := &Builder{l: &Listing{seed: maphash.MakeSeed(), data: newDataSets()}, known: map[string]Verdict{}}
	b.l.octets = make([]byte, 0, min(max(expected, 0), limits.ListOctets))
	b.resize(make([]uint32, 64), make([]byte, 64))
	return b
}

// Put says what is done about a name in lower case, or about all names below it. It fails
// where something else was said before, and with ErrListFull.
func (b *Builder) Put(name dnsname.Name, below bool, v Verdict) error {
	if err := b.settle(); err != nil {
		return err
	}
	entry, err := b.entry(name)
	if err != nil {
		return err
	}
	switch old := b.l.verdict(entry, kindOf(below)); {
	case old == v:
	case old != Unlisted:
		return errOther
	default:
		b.set(entry, kindOf(below), name, v)
	}
	return nil
}

// NoData says that a name, or all names below it, exist without data of any type.
func (b *Builder) NoData(name dnsname.Name, below bool) error {
	v, err := b.setOf(nil)
	if err != nil {
		return err
	}
	return b.Put(name, below, v)
}

// Data adds a record to what is answered about a name, or about all names below it. ttl is
// in seconds.
func (b *Builder) Data(name dnsname.Name, below bool, t uint16, ttl uint32, rdata []byte) error {
	kind := kindOf(below)
	entry, err := b.entry(name)
	if err != nil {
		return err
	}
	latest := b.last.data != nil && b.last.entry == entry && b.last.below == kind
	data := b.last.data
	if !latest {
		old := b.l.verdict(entry, kind)
		if data = b.l.data.of(old); old != Unlisted && len(data) == 0 {
			return errOther
		}
	}
	if hasRecord(data, t, rdata) {
		return nil
	}
	if len(data)+recordHead+len(rdata) > limits.ListData {
		return errDataSize
	}
	if !latest {
		if err := b.settle(); err != nil {
			return err
		}
		b.last.entry, b.last.below, data = entry, kind, append(make([]byte, 0, 64), data...)
	}
	b.last.data = appendRecord(data, t, ttl, rdata)
	return nil
}

// settle puts the data of the last name into their place.
func (b *Builder) settle() error {
	if b.last.data == nil {
		return nil
	}
	v, err := b.setOf(b.last.data)
	if err != nil {
		return err
	}
	b.last.data = nil
	name := dnsname.Name(b.l.nameAt(b.last.entry))
	if b.l.verdict(b.last.entry, b.last.below) != Unlisted {
		b.l.n--
	}
	b.set(b.last.entry, b.last.below, name, v)
	return nil
}

// setOf is the verdict that stands for a set of data; equal sets are kept once.
func (b *Builder) setOf(data []byte) (Verdict, error) {
	if v, ok := b.known[string(data)]; ok {
		return v, nil
	}
	if len(b.l.data.octets)+len(data) > limits.ListSets {
		return Unlisted, ErrListFull
	}
	v := firstSet + Verdict(b.l.data.len())
	b.l.data.add(data)
	b.known[string(data)] = v
	return v, nil
}

func kindOf(below bool) int {
	if below {
		return 1
	}
	return 0
}

func (b *Builder) set(entry, below int, name dnsname.Name, v Verdict) {
	b.l.setVerdict(entry, below, v)
	labels := name.Labels()
	b.l.depths[below][labels/64] |= 1 << (labels % 64)
	if b.l.n++; v == ListPass || v == ListTruncate {
		b.l.passes += mix(digest.Of(string(name)), uint64(v)<<1|uint64(below))
	}
}

// entry is that of a name, which is made if there is none.
func (b *Builder) entry(name dnsname.Name) (int, error) {
	slot, entry, found := b.l.look([]byte(name))
	if found {
		return entry, nil
	}
	entry = len(b.l.octets)
	if entry+entryVerdicts+1+len(name) > min(limits.ListOctets, math.MaxUint32) {
		return 0, ErrListFull
	}
	b.l.octets = append(append(b.l.octets, 0, 0, 0, 0, 0, 0, byte(len(name))), name...)
	_, tag := b.l.place([]byte(name))
	b.l.slots[slot], b.l.tags[slot] = uint32(entry)+1, tag
	if b.names++; 3*b.names > 2*len(b.l.slots) {
		slots := 2 * len(b.l.slots)
		b.resize(make([]uint32, slots), make([]byte, slots))
	}
	return entry, nil
}

// resize gives the table these slots, which are free.
func (b *Builder) resize(slots []uint32, tags []byte) {
	l := b.l
	l.slots, l.tags = slots, tags
	for at := 0; at < len(l.octets); {
		name := l.nameAt(at)
		slot, _, _ := l.look(name)
		_, tag := l.place(name)
		l.slots[slot], l.tags[slot] = uint32(at)+1, tag
		at += entryVerdicts + 1 + len(name)
	}
}

// Done is the listing; the Builder is of no further use. digest is equal for equal lists in
// all processes.
func (b *Builder) Done(digest uint64) (*Listing, error) {
	if err := b.settle(); err != nil {
		return nil, err
	}
	l := b.l
	octets, slots, tags := roomFor(l, len(l.octets), b.names+b.names/2+1)
	copy(octets, l.octets)
	l.octets = octets
	b.resize(slots, tags)
	l.digest = digest
	l.data.prepare(l.find)
	return l, nil
}

// A List is a listing that a newer one may take the place of, while rules go by it.
type List struct {
	title string
	now   atomic.Pointer[Listing]
}

// NewList makes a List, which people know by its title.
func NewList(title string, l *Listing) *List {
	list := &List{title: title}
	list.now.Store(l)
	return list
}

// Use puts a listing in the place of the one before. Tables with rules that go by the list
// are to be told (Table.Renew).
func (l *List) Use(now *Listing) { l.now.Store(now) }

// Listing is what is in force.
func (l *List) Listing() *Listing { return l.now.Load() }

// Title is what people know it by.
func (l *List) Title() string { return l.title }

// Listed is for the names on a list. What is done about each the list may say itself
// (Verdict).
func Listed(list *List) Filter { return Filter{kind: listed, list: list}.sealed() }

// listed is what a rule that goes by a list does about a subject, and how many octets of
// its name stand before the one that is listed; nil: nothing.
func (r *Rule) listed(s *Subject) (a *Action, at int) {
	l := r.Filter.list.Listing()
	v, at := l.find(s)
	switch {
	case v == Unlisted:
		return nil, 0
	case v == Given:
		return r.Action, at
	}
	return l.data.action(v), at
}
