package dnslua

import (
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// Core is the worker as scripts see it by kres.context().
type Core interface {
	// Live are the options in force for all requests.
	requests.Live
	// Bufsize is what is offered to others by UDP, in octets.
	Bufsize() uint16
	// TrustAnchors are sets of DS and DNSKEY records, NegativeAnchors names that nothing is
	// validated below.
	TrustAnchors() []wire.RRset
	NegativeAnchors() []dnsname.Name
	// Insert stores a set that was told at a time in wall seconds; 0 stands for now. Sync
	// waits until what was stored is in the file.
	Insert(set resolve.Set, told int64) error
	Sync(c *script.Call) error
	// CacheFigure is a figure of the cache by its name.
	CacheFigure(name string) (value float64, ok bool)
	// TTLs are the bounds of how long anything is kept, in seconds.
	TTLs() (lo, hi uint32)
	SetTTLs(lo, hi uint32)
}
