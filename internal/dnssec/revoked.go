package dnssec

import "kresd/internal/wire"

// RevokedBySelf are the keys of a zone that are revoked and have signed its DNSKEY
// set themselves, which proves that their owner revoked them (RFC 5011, section
// 2.1). Such a signature proves nothing else. The error is the Meter's.
func (ks *Keys) RevokedBySelf(set *wire.RRset, algorithms Algorithms, now int64, m Meter) (out []Key, err error) {
	for i := range ks.list {
		k := &ks.list[i]
		if !k.Revoked() || k.Flags&FlagZone == 0 || k.Protocol != protocol {
			continue
		}
		alone := *k
		alone.Flags &^= FlagRevoke // for the check alone; the tag stays that of the revoked key
		_, failed := Verify(set, &Keys{Zone: ks.Zone, list: []Key{alone}}, algorithms, now, m)
		if f, ok := failed.(*Failure); ok && f.Reason == TooDear {
			return out, f
		}
		if failed == nil {
			out = append(out, *k)
		}
	}
	return out, nil
}
