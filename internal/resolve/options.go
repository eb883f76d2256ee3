package resolve

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
func (o *Options) switches() [18]*bool {
	return [...]*bool{
		&o.Forward, &o.Stub, &o.NoIPv4, &o.NoIPv6, &o.AnyAddress, &o.AskSilent, &o.WholeName, &o.TCPOnly, &o.NoEDNS,
		&o.KeepCase, &o.Strict, &o.Permissive, &o.BypassCache, &o.FromCache, &o.FindCut, &o.AsksDO, &o.AsksCD, &o.VaryOrder,
	}
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
