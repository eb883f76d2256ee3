package bootstrap

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"kresd/internal/trustanchor"
)

// document is root-anchors.xml (RFC 9718, section 2.1).
type document struct {
	XMLName xml.Name    `xml:"TrustAnchor"`
	Zone    []string    `xml:"Zone"`
	Digests []keyDigest `xml:"KeyDigest"`
}

type keyDigest struct {
	ID         string  `xml:"id,attr"`
	ValidFrom  string  `xml:"validFrom,attr"`
	ValidUntil *string `xml:"validUntil,attr"`
	KeyTag     *uint16
	Algorithm  *uint8
	DigestType *uint8
	Digest     string
}

// anchors are those of a document that are valid now. note is told about those that
// are not.
func anchors(text []byte, now time.Time, note func(string)) (*trustanchor.KeySet, error) {
	doc, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("root-anchors.xml: %w", err)
	}
	var records strings.Builder
	for i := range doc.Digests {
		d := &doc.Digests[i]
		why, err := d.outside(now)
		if err == nil {
			err = d.complete()
		}
		if err != nil {
			return nil, fmt.Errorf("root-anchors.xml: KeyDigest '%s': %w", d.ID, err)
		}
		if why != "" {
			note(fmt.Sprintf("skipping the trust anchor with key tag %d, which %s", *d.KeyTag, why))
			continue
		}
		fmt.Fprintf(&records, ". 0 IN DS %d %d %d %s\n", *d.KeyTag, *d.Algorithm, *d.DigestType, strings.ToUpper(strings.TrimSpace(d.Digest)))
	}
	if records.Len() == 0 {
		return nil, errors.New("root-anchors.xml has no trust anchor that is valid now; is the clock right?")
	}
	set, err := trustanchor.ParseRoot(records.String())
	if err != nil {
		return nil, fmt.Errorf("root-anchors.xml: %w", err)
	}
	return set, nil
}

// decode reads one document, and nothing behind it.
func decode(text []byte) (*document, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = true
	var doc document
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	for {
		switch t, err := d.Token(); {
		case errors.Is(err, io.EOF):
			if len(doc.Zone) != 1 || strings.TrimSpace(doc.Zone[0]) != "." {
				return nil, errors.New("anchors of the zone '.' are expected")
			}
			return &doc, nil
		case err != nil:
			return nil, err
		default:
			if _, second := t.(xml.StartElement); second {
				return nil, errors.New("more than one TrustAnchor")
			}
		}
	}
}

// outside says why an entry does not count now; "" when it does.
func (d *keyDigest) outside(now time.Time) (why string, err error) {
	from, err := time.Parse(time.RFC3339, d.ValidFrom)
	if err != nil {
		return "", errors.New("validFrom is no date")
	}
	if now.Before(from) {
		return "is valid only from " + from.UTC().Format(time.DateTime) + " on", nil
	}
	if d.ValidUntil == nil {
		return "", nil
	}
	until, err := time.Parse(time.RFC3339, *d.ValidUntil)
	if err != nil {
		return "", errors.New("validUntil is no date")
	}
	if !now.Before(until) {
		return "was valid until " + until.UTC().Format(time.DateTime), nil
	}
	return "", nil
}

// complete tells whether an entry is a DS record.
func (d *keyDigest) complete() error {
	if d.KeyTag == nil || d.Algorithm == nil || d.DigestType == nil {
		return errors.New("a KeyTag, an Algorithm and a DigestType are expected")
	}
	if octets, err := hex.DecodeString(strings.TrimSpace(d.Digest)); err != nil || len(octets) == 0 {
		return errors.New("the Digest is not hexadecimal")
	}
	return nil
}
