package trustanchor

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"kresd/internal/dnssec"
	"kresd/internal/wire"
)

// header is the first line of a key file that is written here.
const header = "; trust anchors that kresd keeps up to date (RFC 5011); a line that begins with a semicolon is a key that is not trusted\n"

// text is a key file: the trusted keys, then the others.
func (k *KeySet) text() string {
	trusted, others := header, ""
	for i := range k.Keys {
		key, timer := &k.Keys[i], ""
		if key.Timer != 0 {
			timer = fmt.Sprint(key.Timer)
		}
		line := fmt.Sprintf("%s ; %s:%s ; KeyTag:%d\n", k.record(key, " "), key.State, timer, key.Tag)
		if key.State.Trusted() {
			trusted += line
		} else {
			others += "; " + line
		}
	}
	return trusted + others
}

// record is a key as a record of the zone in one line.
func (k *KeySet) record(key *Key, between string) string {
	kind, data := "DNSKEY", ""
	if key.Type == wire.TypeDNSKEY {
		data = fmt.Sprintf("%d %d %d %s", uint16(key.RData[0])<<8|uint16(key.RData[1]), key.RData[2], key.RData[3], base64.StdEncoding.EncodeToString(key.RData[4:]))
	} else if ds, ok := dnssec.ParseDS(key.RData); ok {
		kind = "DS"
		data = fmt.Sprintf("%d %d %d %s", ds.Tag, ds.Algorithm, ds.Digest, strings.ToUpper(hex.EncodeToString(ds.Octets)))
	}
	return strings.Join([]string{k.Owner.String(), fmt.Sprint(key.TTL), "IN", kind, data}, between)
}

// Records are the trusted keys as lines of a zone file.
func (k *KeySet) Records() (lines []string) {
	for i := range k.Keys {
		if k.Keys[i].State.Trusted() {
			lines = append(lines, k.record(&k.Keys[i], " "))
		}
	}
	return lines
}

// Columns are the trusted keys as lines of a table: owner, TTL, type and data.
func (k *KeySet) Columns() (lines []string) {
	for i := range k.Keys {
		if k.Keys[i].State.Trusted() {
			f := strings.SplitN(k.record(&k.Keys[i], "\t"), "\t", 5)
			lines = append(lines, fmt.Sprintf("%-23s %-7s %-7s %s", f[0], f[1], f[3], f[4]))
		}
	}
	return lines
}
