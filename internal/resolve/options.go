package resolve

import (
	"encoding/binary"

	"kresd/internal/digest"
	"kresd/internal/zonecut"
)

// Options say how a request or one of its queries is resolved, where an operator,
// a rule or a script has a say in it. The zero value is the ordinary way. The names
// by which scripts know them stand in package bindings.
type Options struct {
	// Forward and Stub, together with a Cut, send the question to the servers of a
	// rule: forwarders, which resolve it, or servers that answer for themselves. With
	// both, Stub counts.
	Forward, Stub bool
	// NoIPv4 and NoIPv6 leave out servers' addresses of that family.
	NoIPv4, NoIPv6 bool
	// AnyAddress lets a delegation name addresses that are no server's: loopback and
	// the like.
	AnyAddress bool
	// PublicOnly lets a delegation, unless AnyAddress does, name none of a private network
	// either.
	PublicOnly bool
	// AskSilent has servers asked that are known to be silent like others.
	AskSilent bool

	// WholeName shows each server the whole question (no RFC 9156).
	WholeName bool
	// TCPOnly, NoEDNS and KeepCase are how servers are asked: by TCP, without an OPT
	// record, with the letter case that the question has.
	TCPOnly, NoEDNS, KeepCase bool

	// Strict believes glue only where there is no other way to the servers of a zone,
	// Permissive any glue, and denials from servers that do not claim authority. With
	// both, glue that came is believed and more is not looked for.
	Strict, Permissive bool

	// NoSHA1 lets signatures and DS records that rest on SHA-1 count for nothing (RFC 9905).
	NoSHA1 bool

	// BypassCache takes nothing from the cache and keeps nothing in it.
	BypassCache bool
	// FromCache tells, of a query, that the cache answered it.
	FromCache bool
	// FindCut has the zone cut looked up for cached answers too, for scripts to see.
	FindCut bool
	// AsksDO and AsksCD set DO and CD in what a script asks.
	AsksDO, AsksCD bool
	// VaryOrder varies the order inside RRsets that clients get.
	VaryOrder bool

	// Marks are what scripts may set and read besides: nothing depends on them.
	Marks Marks
}

// Marks are a set of bits that package bindings has names for.
type Marks uint32

// switches are the fields that are on or off, always in one order.
func (o *Options) switches() [20]*bool {
	return [...]*bool{
		&o.Forward, &o.Stub, &o.NoIPv4, &o.NoIPv6, &o.AnyAddress, &o.AskSilent, &o.WholeName, &o.TCPOnly, &o.NoEDNS,
		&o.KeepCase, &o.Strict, &o.Permissive, &o.BypassCache, &o.FromCache, &o.FindCut, &o.AsksDO, &o.AsksCD, &o.VaryOrder, &o.NoSHA1, &o.PublicOnly,
	}
}

// Digest is equal for equal options in all processes, and 0 for none.
func (o Options) Digest() uint64 {
	on := uint32(0)
	for i, is := range o.switches() {
		if *is {
			on |= 1 << i
		}
	}
	if on == 0 && o.Marks == 0 {
		return 0
	}
	return digest.Of("options", string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, on), uint32(o.Marks))))
}

// With are the options that are in o or in more.
func (o Options) With(more Options) Options {
	theirs := more.switches()
	for i, on := range o.switches() {
		*on = *on || *theirs[i]
	}
	o.Marks |= more.Marks
	return o
}

// Without are the options of o that are not in less.
func (o Options) Without(less Options) Options {
	theirs := less.switches()
	for i, on := range o.switches() {
		*on = *on && !*theirs[i]
	}
	o.Marks &^= less.Marks
	return o
}

// Within tells whether all options of o are in most.
func (o Options) Within(most Options) bool { return o.Without(most) == Options{} }

// withoutRule are the options for a question that no rule has servers for.
func (o Options) withoutRule() Options {
	o.Forward, o.Stub = false, false
	return o
}

// A Partition names those who share what is remembered of the DNS: who is in
// another partition neither reads nor overwrites it. 0 is everybody who is
// configured in no way that could make a difference.
type Partition uint64

// Partitions are the two that a configuration, and by it a request, is in. Equal
// configurations are in equal partitions, in every process that uses a cache.
type Partitions struct {
	// Data is for what servers told: RRsets, denials, delegations, addresses of
	// name servers. It differs with what decides who is asked and what is believed:
	// root hints, trust anchors, and the options of shaping.
	Data Partition
	// Answers is for what whole requests came to: answers and failures. It differs
	// with all that Data differs with, and with rules and what can be reached.
	Answers Partition
}

// shaping is a number for the options that decide which servers are asked, what is
// believed of what they say, or whether signatures come with it; 0 for none.
func (o *Options) shaping() uint64 {
	return bits("shaping", o.Strict, o.Permissive, o.NoEDNS, o.AnyAddress, o.NoSHA1)
}

// reaching is shaping with the options that decide whether servers can be reached
// and understood.
func (o *Options) reaching() uint64 {
	return o.shaping() ^ bits("reaching", o.NoIPv4, o.NoIPv6, o.TCPOnly, o.KeepCase, o.WholeName, o.AskSilent, o.PublicOnly)
}

// bits is a number for the switches that are on, 0 for none. It is that of no other
// kind of switches.
func bits(kind string, switches ...bool) uint64 {
	var on byte
	for i, is := range switches {
		if is {
			on |= 1 << i
		}
	}
	if on == 0 {
		return 0
	}
	return digest.Of(kind, string(rune(on)))
}

// With is the partition of those who differ from the ones in p by what n stands for. 0
// stands for no difference.
func (p Partition) With(n uint64) Partition {
	if n == 0 {
		return p
	}
	h := uint64(p)*0x9e3779b97f4a7c15 + n
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return Partition(max(h^h>>31, 1)) // never that of everybody
}

// WithText is With for a text; "" stands for no difference.
func (p Partition) WithText(text string) Partition {
	if text == "" {
		return p
	}
	return p.With(digest.Of(text))
}

// WithOptions is p for those all of whose requests have certain options, of which
// only those count that can make a difference.
func (p Partitions) WithOptions(o Options) Partitions {
	return Partitions{Data: p.Data.With(o.shaping()), Answers: p.Answers.With(o.reaching())}
}

// Servers tells sets of servers apart, in whatever order they stand. It is not 0 for
// any, not even for none.
func Servers(cut *zonecut.Cut) uint64 {
	sum := digest.Of("servers")
	for i := range cut.NS {
		one := zonecut.Cut{NS: cut.NS[i : i+1]}
		sum += digest.Of(string(cut.NS[i].Name), string(one.AppendEndpoints(nil)))
	}
	return sum
}
