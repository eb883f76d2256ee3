package trustanchor

import (
	"encoding/binary"
	"slices"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/wire"
)

// A Key is one anchor: a DS or DNSKEY record and what is known about it.
type Key struct {
	Type  uint16
	TTL   uint32 // as the file says, in seconds
	RData []byte
	Tag   uint16 // RFC 4034, appendix B
	State State
	// Timer is when the state may change, in wall seconds since 1970; 0 when nothing
	// is due.
	Timer int64
}

// State is a state of RFC 5011, section 4.
type State string

// States.
const (
	Start   State = "Start"
	AddPend State = "AddPend"
	Valid   State = "Valid"
	Missing State = "Missing"
	Revoked State = "Revoked"
	Removed State = "Removed"
)

// Trusted tells whether a key in this state is an anchor.
func (s State) Trusted() bool { return s == Valid || s == Missing }

// is tells whether a DNSKEY record is the key, be it revoked or not.
func (k *Key) is(owner dnsname.Name, rdata []byte) bool {
	plain := unrevoked(rdata)
	if k.Type == wire.TypeDNSKEY {
		return slices.Equal(unrevoked(k.RData), plain)
	}
	ds, ok := dnssec.ParseDS(k.RData)
	return ok && ds.Tag == dnssec.KeyTag(plain) && ds.Algorithm == plain[3] && slices.Equal(ds.Octets, dnssec.Digest(ds.Digest, owner, plain))
}

// unrevoked is the RDATA of a DNSKEY as it was before its revocation.
func unrevoked(rdata []byte) []byte {
	if len(rdata) < 4 || rdata[1]&dnssec.FlagRevoke == 0 {
		return rdata
	}
	out := slices.Clone(rdata)
	out[1] &^= dnssec.FlagRevoke
	return out
}

// summed is a number for the key, the same for a DNSKEY and for the DS record with
// its SHA-256 digest.
func (k *Key) summed(owner dnsname.Name) uint64 {
	data := k.RData
	if k.Type == wire.TypeDNSKEY {
		data = binary.BigEndian.AppendUint16(nil, k.Tag)
		data = append(data, k.RData[3], dnssec.DigestSHA256)
		data = append(data, dnssec.Digest(dnssec.DigestSHA256, owner, k.RData)...)
	}
	return digest.Of(string(owner), string(data))
}

// A KeySet is what is known about the keys of one zone. It is never changed once
// it is in a Store.
type KeySet struct {
	Owner dnsname.Name
	Keys  []Key
	// File is where the set came from, "" for one that a script gave or that is built
	// in.
	File string
	// Managed tells that the file is to be kept up to date (RFC 5011).
	Managed bool
	// Fetched tells that the set was fetched from IANA and no server of the zone has
	// shown its keys yet.
	Fetched bool
}

// Anchors are the trusted keys as RRsets; nil when there are none of a type.
func (k *KeySet) Anchors() (ds, dnskey *wire.RRset) {
	for i := range k.Keys {
		key := &k.Keys[i]
		if !key.State.Trusted() {
			continue
		}
		set := &ds
		if key.Type == wire.TypeDNSKEY {
			set = &dnskey
		}
		if *set == nil {
			*set = &wire.RRset{Owner: k.Owner, Type: key.Type, Class: wire.ClassIN, TTL: key.TTL}
		}
		(*set).TTL = min((*set).TTL, key.TTL)
		(*set).Data = append((*set).Data, key.RData)
	}
	return ds, dnskey
}

// Trusted counts the keys that are anchors.
func (k *KeySet) Trusted() (n int) {
	for i := range k.Keys {
		if k.Keys[i].State.Trusted() {
			n++
		}
	}
	return n
}

// add takes a key in, once.
func (k *KeySet) add(key Key) {
	for i := range k.Keys {
		if k.Keys[i].Type == key.Type && string(k.Keys[i].RData) == string(key.RData) {
			k.Keys[i] = key
			return
		}
	}
	k.Keys = append(k.Keys, key)
}

// clone is a set with keys of its own.
func (k *KeySet) clone() *KeySet {
	out := *k
	out.Keys = slices.Clone(k.Keys)
	return &out
}

// Equal tells whether two sets know the same about the same keys.
func (k *KeySet) Equal(other *KeySet) bool { return k.text() == other.text() }
