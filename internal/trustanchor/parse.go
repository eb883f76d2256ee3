package trustanchor

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// Flags of a DNSKEY record (RFC 4034, section 2.1.1; RFC 5011, section 3).
const (
	zoneKey = 1 << 8
	revoked = 1 << 7
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
		return nil, errors.New("no DS or DNSKEY record")
	}
	return sets, nil
}

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

// stateOf reads " STATE:TIMER" at the start of a comment.
func stateOf(comment string) (s State, timer string, ok bool) {
	word, rest, ok := strings.Cut(strings.TrimLeft(comment, "; \t"), ":")
	if !ok {
		return "", "", false
	}
	timer, _, _ = strings.Cut(strings.TrimSpace(rest), ";")
	switch s := State(strings.TrimSpace(word)); s {
	case Start, AddPend, Valid, Missing, Revoked, Removed:
		return s, strings.TrimSpace(timer), true
	}
	return "", "", false
}

func addRecord(sets *[]*KeySet, rr dns.RR, comment string, state State) error {
	owner, err := dnsname.Parse(rr.Header().Name)
	if err != nil {
		return fmt.Errorf("owner %s: %w", rr.Header().Name, err)
	}
	if rr.Header().Class != dns.ClassINET {
		return fmt.Errorf("%s: an anchor is of class IN", owner)
	}
	key := Key{Type: rr.Header().Rrtype, TTL: rr.Header().Ttl, State: state, Comment: comment}
	if s, timer, ok := stateOf(comment); ok {
		key.State, key.Timer = s, timer
	}
	switch rr := rr.(type) {
	case *dns.DS:
		key.Tag = rr.KeyTag
	case *dns.DNSKEY:
		if key.Tag = rr.KeyTag(); key.State.Trusted() {
			err = checkKey(rr)
		}
	default:
		err = errors.New("an anchor is a DS or DNSKEY record")
	}
	if err == nil {
		key.RData, err = rdata(rr)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.ReplaceAll(rr.String(), "\t", " "), err)
	}
	set(sets, owner).add(key)
	return nil
}

// checkKey refuses keys that nothing could be validated with.
func checkKey(rr *dns.DNSKEY) error {
	switch {
	case rr.Flags&revoked != 0:
		return errors.New("the key is revoked")
	case rr.Flags&zoneKey == 0:
		return errors.New("the key is no zone key")
	case rr.Protocol != 3: // RFC 4034, section 2.1.2
		return errors.New("the key's protocol is not 3")
	}
	if key, err := base64.StdEncoding.DecodeString(rr.PublicKey); err != nil || len(key) == 0 {
		return errors.New("the public key is not base64")
	}
	return nil
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
