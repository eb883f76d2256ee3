package trustanchor

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/wire"
)

// parse reads zone-file text: DS and DNSKEY records, by owner in the order of
// first appearance. Records inside comments are keys that are not trusted.
func parse(text string) ([]*KeySet, error) {
	var sets []*KeySet
	zp := dns.NewZoneParser(strings.NewReader(text), ".", "")
	zp.SetDefaultTTL(0)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if err := addRecord(&sets, rr, zp.Comment(), Valid); err != nil {
			return nil, err
		}
	}
	if err := zp.Err(); err != nil {
		return nil, err
	}
	for _, line := range strings.Split(text, "\n") {
		if err := addComment(&sets, line); err != nil {
			return nil, err
		}
	}
	if len(sets) == 0 {
		return nil, errNoRecord
	}
	return sets, nil
}

var errNoRecord = errors.New("no DS or DNSKEY record")

// addComment takes in a line that is a record and its state behind a semicolon.
// Other comments mean nothing.
func addComment(sets *[]*KeySet, line string) error {
	inner, ok := strings.CutPrefix(strings.TrimSpace(line), "; ")
	if !ok {
		return nil
	}
	_, comment, ok := strings.Cut(inner, ";")
	if !ok {
		return nil
	}
	state, _, ok := stateOf(comment)
	if !ok {
		return nil
	}
	zp := dns.NewZoneParser(strings.NewReader(inner), ".", "")
	zp.SetDefaultTTL(0)
	rr, ok := zp.Next()
	if !ok {
		return nil
	}
	if state.Trusted() {
		return nil // a trusted key does not stand in a comment
	}
	return addRecord(sets, rr, ";"+comment, state)
}

// stateOf reads " STATE:TIMER" at the start of a comment, or what Unbound writes.
func stateOf(comment string) (s State, timer int64, ok bool) {
	if s, timer, ok := unboundState(comment); ok {
		return s, timer, ok
	}
	word, rest, ok := strings.Cut(strings.TrimLeft(comment, "; \t"), ":")
	if !ok {
		return "", 0, false
	}
	rest, _, _ = strings.Cut(rest, ";")
	switch s := State(strings.TrimSpace(word)); s {
	case Start, AddPend, Valid, Missing, Revoked, Removed:
		timer, _ = strconv.ParseInt(strings.TrimSpace(rest), 10, 64) // without one nothing is due
		return s, timer, true
	}
	return "", 0, false
}

// unboundState reads the comment of an auto-trust-anchor-file: the number of the
// state, and when the key came into it.
func unboundState(comment string) (s State, timer int64, ok bool) {
	number, ok := field(comment, ";state=")
	states := [...]State{Start, AddPend, Valid, Missing, Revoked, Removed}
	if !ok || number < 0 || number >= int64(len(states)) {
		return "", 0, false
	}
	s = states[number]
	if since, ok := field(comment, ";lastchange="); ok && (s == AddPend || s == Missing || s == Revoked) {
		timer = since + int64(holdDown/time.Second)
	}
	return s, timer, true
}

// field is the number that follows a word of a comment.
func field(comment, word string) (int64, bool) {
	_, rest, ok := strings.Cut(comment, word)
	if !ok {
		return 0, false
	}
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(rest)
	}
	n, err := strconv.ParseInt(rest[:digits], 10, 64)
	return n, err == nil
}

func addRecord(sets *[]*KeySet, rr dns.RR, comment string, state State) error {
	owner, err := dnsname.Parse(rr.Header().Name)
	if err != nil {
		return fmt.Errorf("owner %s: %w", rr.Header().Name, err)
	}
	if rr.Header().Class != dns.ClassINET {
		return fmt.Errorf("%s: an anchor is of class IN", owner)
	}
	key := Key{Type: rr.Header().Rrtype, TTL: rr.Header().Ttl, State: state}
	if s, timer, ok := stateOf(comment); ok {
		key.State, key.Timer = s, timer
	}
	switch rr := rr.(type) {
	case *dns.DS:
		key.Tag = rr.KeyTag
		err = checkDS(rr)
	case *dns.DNSKEY:
		key.Tag = rr.KeyTag()
		err = checkKey(rr, key.State)
	default:
		err = errors.New("an anchor is a DS or DNSKEY record")
	}
	if err == nil {
		key.RData, err = rdata(rr)
	}
	if err == nil {
		err = key.whole()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.ReplaceAll(rr.String(), "\t", " "), err)
	}
	set(sets, owner).add(key)
	return nil
}

// checkDS refuses digests that no key can have.
func checkDS(rr *dns.DS) error {
	octets := map[uint8]int{dnssec.DigestSHA1: 20, dnssec.DigestSHA256: 32, dnssec.DigestSHA384: 48}[rr.DigestType]
	if octets != 0 && len(rr.Digest) != 2*octets {
		return fmt.Errorf("a digest of type %d has %d octets", rr.DigestType, octets)
	}
	if _, err := hex.DecodeString(rr.Digest); err != nil {
		return errors.New("the digest is not hexadecimal")
	}
	return nil
}

// checkKey refuses keys that nothing could be validated with.
func checkKey(rr *dns.DNSKEY, state State) error {
	key, err := base64.StdEncoding.DecodeString(rr.PublicKey)
	switch {
	case err != nil || len(key) == 0:
		return errors.New("the public key is not base64")
	case !state.Trusted():
		return nil
	case rr.Flags&dnssec.FlagRevoke != 0:
		return errors.New("the key is revoked")
	case rr.Flags&dnssec.FlagZone == 0:
		return errors.New("the key is no zone key")
	case rr.Protocol != 3: // RFC 4034, section 2.1.2
		return errors.New("the key's protocol is not 3")
	}
	return nil
}

// whole refuses a record without data, and a trusted key of a supported algorithm that
// is not what the algorithm wants.
func (k *Key) whole() error {
	if k.Type == wire.TypeDS {
		if _, ok := dnssec.ParseDS(k.RData); !ok {
			return errors.New("the record has no digest")
		}
		return nil
	}
	key, ok := dnssec.ParseKey(k.RData)
	switch {
	case !ok:
		return errors.New("the record has no key")
	case k.State.Trusted() && (dnssec.Algorithms{}).Signs(key.Algorithm):
		return key.Err()
	}
	return nil
}

// ParseRoot reads DS and DNSKEY records of the root in zone-file text.
func ParseRoot(text string) (*KeySet, error) {
	sets, err := parse(text)
	if err != nil {
		return nil, err
	}
	if len(sets) != 1 || !sets[0].Owner.IsRoot() {
		return nil, errors.New("records of the root are expected")
	}
	return sets[0], nil
}

// rdata is a record's RDATA in wire form.
func rdata(rr dns.RR) ([]byte, error) {
	buf := make([]byte, dns.Len(rr)+wire.HeaderLen)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	name, err := dnsname.FromWire(buf)
	if err != nil {
		return nil, err
	}
	const fixed = 10 // type, class, TTL, length
	return buf[name.Len()+fixed : n : n], nil
}

func set(sets *[]*KeySet, owner dnsname.Name) *KeySet {
	for _, s := range *sets {
		if s.Owner == owner {
			return s
		}
	}
	s := &KeySet{Owner: owner}
	*sets = append(*sets, s)
	return s
}

// ParseName reads the name of a zone.
func ParseName(text string) (dnsname.Name, error) {
	n, err := dnsname.Parse(text)
	if err != nil {
		return "", fmt.Errorf("'%s' is no name: %w", text, err)
	}
	return n, nil
}
