package rpz

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// An Answer is what a zone says about questions for a name.
type Answer uint8

// Answers.
const (
	// NXDomain: the name is denied, or whatever the rule does instead ("CNAME .").
	NXDomain Answer = iota
	// NoData: the name has no data ("CNAME *.").
	NoData
	// PassThru, Drop and TCPOnly: as rpz-passthru., rpz-drop. and rpz-tcp-only. have it.
	PassThru
	Drop
	TCPOnly
	// Data: a record is answered with.
	Data
)

// A Record is one of a zone, whose owner is a question's name.
type Record struct {
	// Name is without the zone's own name, in lower case. Below tells that all names
	// below it are meant, and it itself is not ("*.NAME").
	Name   dnsname.Name
	Below  bool
	Answer Answer
	// These are of Data: type, seconds, and RDATA in wire form.
	Type  uint16
	TTL   uint32
	RData []byte
}

// A Reader reads zones.
type Reader struct {
	// Take is given each record, which is good until it returns. A record that it has no
	// use for is skipped; after an error for which Fatal is true nothing further is read.
	Take  func(*Record) error
	Fatal func(error) bool
	// Parse reads type and data as master files have them, with names below origin, and
	// gives RDATA in wire form. Without an origin ("") relative names are an error.
	Parse func(origin dnsname.Name, text string) (t uint16, rdata []byte, err error)
	// Skipped is told of each record that cannot be used: the line where it begins.
	Skipped func(line int, why error)
}

// state is how far a zone was read.
type state struct {
	*Reader
	s       *scanner
	origin  dnsname.Name // "" where none is known: the latest $ORIGIN is wrong
	apex    dnsname.Name // "" until the first record
	owner   dnsname.Name // of the latest record; "" for one that cannot be used
	ttl     uint32       // of records that have none
	told    bool         // ttl is of $TTL
	record  Record
	ownerOf string // the word that owner is of, while origin is the same
}

// defaultTTL is that of records that have none where none is told, in seconds.
const defaultTTL = 3600

// Read reads a zone to its end. It fails when it cannot, with an error without a place, or
// one of Take's.
func (r *Reader) Read(text io.Reader) error {
	st := &state{Reader: r, s: newScanner(text), origin: dnsname.Root, ttl: defaultTTL}
	for {
		err := st.s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		wrong := st.s.wrong
		switch {
		case wrong != nil:
			st.miss()
		case len(st.s.words) > 0:
			wrong = st.take(st.s.words)
		}
		switch {
		case wrong == nil:
		case r.Fatal(wrong):
			return wrong
		default:
			r.Skipped(st.s.line, wrong)
		}
	}
}

// Reasons why a record is skipped.
var (
	errNoOwner  = errors.New("no owner name before it")
	errNoType   = errors.New("no type and data")
	errOutside  = errors.New("the name is not in the zone")
	errTarget   = errors.New("CNAME leads to '.', '*.', rpz-passthru., rpz-drop. or rpz-tcp-only. only")
	errTrigger  = errors.New("triggers by addresses and name servers are not known, only those by the question's name")
	errInclude  = errors.New("$INCLUDE: other files are not read")
	errGenerate = errors.New("$GENERATE is not known: write the records out")
	errClass    = errors.New("a class other than IN")
	errDNAME    = errors.New("a response policy zone has no DNAME")
	errOrigin   = errors.New("the $ORIGIN before it is wrong")
	errRoot     = errors.New("the name of the zone itself is no question's name")
)

// miss forgets what the record that stands there would have said about those behind it: its
// owner, or, where it is cut off, whichever owner its rest has, or an origin.
func (st *state) miss() {
	if st.s.first == '$' {
		st.origin = ""
	}
	if !st.s.inner() || errors.Is(st.s.wrong, errLong) {
		st.owner, st.ownerOf = "", ""
	}
}

func (st *state) take(words [][]byte) error {
	if !st.s.inner() {
		if words[0][0] == '$' {
			return st.directive(words)
		}
		if err := st.setOwner(string(words[0])); err != nil {
			return err
		}
		words = words[1:]
	} else if st.owner == "" {
		return errNoOwner
	}
	ttl, words, err := st.ttlOf(words)
	if err != nil {
		return err
	}
	if len(words) < 2 {
		return errNoType
	}
	t := typeOf(words[0])
	if st.apex == "" {
		if st.apex = st.origin; t == wire.TypeSOA {
			st.apex = st.owner
		}
	}
	if st.apex == "" {
		return errOrigin
	}
	return st.use(t, ttl, words)
}

// directive is a line that begins with '$'.
func (st *state) directive(words [][]byte) error {
	switch strings.ToUpper(string(words[0])) {
	case "$ORIGIN":
		return st.setOrigin(words[1:])
	case "$TTL":
		if len(words) == 2 {
			if ttl, ok := seconds(words[1]); ok {
				st.ttl, st.told = ttl, true
				return nil
			}
		}
		return errors.New("$TTL: a number of seconds expected")
	case "$INCLUDE":
		return errInclude
	case "$GENERATE":
		return errGenerate
	}
	return fmt.Errorf("'%s' is not known", short(words[0]))
}

// setOrigin takes the origin of relative names. A wrong one leaves none: they are not of the
// one before.
func (st *state) setOrigin(words [][]byte) error {
	below := st.origin
	st.origin, st.ownerOf = "", ""
	if len(words) != 1 {
		return errors.New("$ORIGIN: one name expected")
	}
	name, err := absolute(string(words[0]), below)
	if err != nil {
		return fmt.Errorf("$ORIGIN: %w", err)
	}
	st.origin = name
	return nil
}

// setOwner takes the owner of a record and of those that have none.
func (st *state) setOwner(word string) (err error) {
	if st.owner != "" && word == st.ownerOf {
		return nil
	}
	st.ownerOf = word
	if st.owner, err = absolute(word, st.origin); err != nil {
		st.owner = ""
	}
	return err
}

// absolute is the name that a word stands for, below an origin unless it ends with a dot.
func absolute(word string, origin dnsname.Name) (dnsname.Name, error) {
	if origin == "" && !isAbsolute(word) {
		return "", fmt.Errorf("'%s': %w", short([]byte(word)), errOrigin)
	}
	if word == "@" {
		return origin, nil
	}
	name, err := dnsname.Parse(word)
	if err != nil {
		return "", fmt.Errorf("'%s': %w", short([]byte(word)), err)
	}
	if origin == dnsname.Root || isAbsolute(word) {
		return name, nil
	}
	if len(name)-1+len(origin) > dnsname.MaxLen {
		return "", fmt.Errorf("'%s': %w, with its origin", short([]byte(word)), dnsname.ErrNameLong)
	}
	return name[:len(name)-1] + origin, nil
}

// isAbsolute tells whether a name ends with a dot that is not escaped.
func isAbsolute(word string) bool {
	if !strings.HasSuffix(word, ".") {
		return false
	}
	escapes := len(word) - 1 - len(strings.TrimRight(word[:len(word)-1], `\`))
	return escapes%2 == 0
}

// ttlOf reads TTL and class before the type, of which each may be absent and any first.
func (st *state) ttlOf(words [][]byte) (ttl uint32, rest [][]byte, err error) {
	ttl = st.ttl
	for range 2 {
		if len(words) == 0 {
			break
		}
		n, ok := seconds(words[0])
		switch {
		case ok:
			if ttl = n; !st.told { // RFC 1035, section 5.1: that of the record before
				st.ttl = n
			}
		case isWord(words[0], "IN"):
		case isWord(words[0], "CH"), isWord(words[0], "HS"), isWord(words[0], "CS"), isWord(words[0], "ANY"), isWord(words[0], "NONE"):
			return 0, nil, errClass
		default:
			return ttl, words, nil
		}
		words = words[1:]
	}
	return ttl, words, nil
}

// seconds reads a TTL: a number, or several with units, as 1h30m.
func seconds(word []byte) (uint32, bool) {
	var total, n uint64
	digits := false
	for _, c := range word {
		unit := uint64(0)
		switch c {
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			if n = 10*n + uint64(c-'0'); n > 1<<31 {
				return 0, false
			}
			digits = true
			continue
		case 's', 'S':
			unit = 1
		case 'm', 'M':
			unit = 60
		case 'h', 'H':
			unit = 3600
		case 'd', 'D':
			unit = 86400
		case 'w', 'W':
			unit = 604800
		}
		if unit == 0 || !digits {
			return 0, false
		}
		total, n, digits = total+n*unit, 0, false
	}
	if total += n; len(word) == 0 || total >= 1<<31 { // RFC 2181, section 8
		return 0, false
	}
	return uint32(total), true
}

func isWord(word []byte, upper string) bool {
	return len(word) == len(upper) && strings.EqualFold(string(word), upper)
}

// Types that this package knows by name.
const (
	unknownType = 0
	typeDNAME   = 39
	typeCDS     = 59
	typeCDNSKEY = 60
	typeZONEMD  = 63
)

func typeOf(word []byte) uint16 {
	switch strings.ToUpper(string(word)) {
	case "CNAME":
		return wire.TypeCNAME
	case "A":
		return wire.TypeA
	case "AAAA":
		return wire.TypeAAAA
	case "SOA":
		return wire.TypeSOA
	case "NS":
		return wire.TypeNS
	case "DNAME":
		return typeDNAME
	case "RRSIG", "NSEC", "NSEC3": // a signed zone has them at each name
		return wire.TypeRRSIG
	}
	return unknownType
}

// use makes a Record of one whose type is words[0].
func (st *state) use(t uint16, ttl uint32, words [][]byte) error {
	if t == wire.TypeRRSIG || st.owner == st.apex && (t == wire.TypeSOA || t == wire.TypeNS || t == unknownType) {
		return nil // about the zone itself
	}
	if err := st.trigger(); err != nil {
		return err
	}
	r := &st.record
	r.Type, r.TTL, r.RData = t, ttl, nil
	switch t {
	case wire.TypeSOA, wire.TypeNS:
		return fmt.Errorf("%s is for the name of the zone only", strings.ToUpper(string(words[0])))
	case typeDNAME:
		return errDNAME
	case wire.TypeCNAME:
		if len(words) != 2 {
			return errors.New("CNAME: one name expected")
		}
		answer, err := st.target(string(words[1]))
		if err != nil {
			return err
		}
		r.Answer, r.Type = answer, 0
		return st.Take(r)
	case wire.TypeA, wire.TypeAAAA:
		if err := st.address(words); err != nil {
			return err
		}
	default:
		var err error
		if r.Type, r.RData, err = st.Parse(st.origin, string(bytes.Join(words, []byte{' '}))); err != nil {
			return err
		}
		if !answerable(r.Type) {
			return fmt.Errorf("type %s: nobody can be answered with it", short(words[0]))
		}
	}
	r.Answer = Data
	return st.Take(r)
}

// answerable leaves out types that have a meaning of their own in answers or zones, and
// those of questions and messages (RFC 6895, section 3.1).
func answerable(t uint16) bool {
	switch t {
	case 0, wire.TypeCNAME, wire.TypeSOA, wire.TypeNS, typeDNAME, wire.TypeRRSIG, wire.TypeOPT,
		wire.TypeDS, wire.TypeNSEC, wire.TypeDNSKEY, wire.TypeNSEC3, wire.TypeNSEC3PARAM, typeCDS, typeCDNSKEY, typeZONEMD:
		return false
	}
	return t < 128 || t > 255
}

// address reads the data of A or AAAA.
func (st *state) address(words [][]byte) error {
	r := &st.record
	if len(words) != 2 {
		return errors.New("one address expected")
	}
	a, err := netip.ParseAddr(string(words[1]))
	if err != nil || a.Zone() != "" || a.Is4() != (r.Type == wire.TypeA) {
		return fmt.Errorf("'%s' is no address of type %s", short(words[1]), strings.ToUpper(string(words[0])))
	}
	r.RData = a.AsSlice()
	return nil
}

// trigger finds out which questions the owner means.
func (st *state) trigger() error {
	owner, apex := st.owner, st.apex
	switch {
	case owner == apex:
		return errRoot
	case !owner.IsSubdomainOf(apex):
		return errOutside
	}
	name := owner
	if apex != dnsname.Root {
		name = owner[:len(owner)-len(apex)] + dnsname.Root
	}
	if strings.HasSuffix(string(name), "\x06rpz-ip\x00") || strings.HasSuffix(string(name), "\x08rpz-nsip\x00") ||
		strings.HasSuffix(string(name), "\x0drpz-client-ip\x00") || strings.HasSuffix(string(name), "\x0brpz-nsdname\x00") {
		return errTrigger
	}
	r := &st.record
	if r.Below = name.IsWildcard(); r.Below {
		name = name[2:]
	}
	r.Name = name
	return nil
}

// target is what a CNAME to a name says.
func (st *state) target(word string) (Answer, error) {
	switch strings.ToLower(word) { // as nearly all have it
	case ".":
		return NXDomain, nil
	case "*.":
		return NoData, nil
	case "rpz-passthru.":
		return PassThru, nil
	case "rpz-drop.":
		return Drop, nil
	case "rpz-tcp-only.":
		return TCPOnly, nil
	}
	name, err := absolute(word, st.origin)
	if err != nil {
		return 0, err
	}
	switch name {
	case dnsname.Root:
		return NXDomain, nil
	case "\x01*\x00":
		return NoData, nil
	case "\x0crpz-passthru\x00":
		return PassThru, nil
	case "\x08rpz-drop\x00":
		return Drop, nil
	case "\x0crpz-tcp-only\x00":
		return TCPOnly, nil
	}
	if !st.record.Below && name == st.record.Name { // as older files have PASSTHRU
		return PassThru, nil
	}
	return 0, errTarget
}

// short is a word as far as it is worth a place in the log.
func short(word []byte) string {
	const most = 80
	text := strconv.Quote(string(word[:min(len(word), most)]))
	if text = text[1 : len(text)-1]; len(word) > most {
		text += "…"
	}
	return text
}
