package records

import "kresd/internal/script"

// Objects are what scripts hold of messages and records, on one machine.
type Objects struct {
	packet, rrset, rdataset, octets, failed, array, at, addr *script.Class
}

// NewObjects makes them.
func NewObjects() *Objects {
	v := &Objects{addr: addrClass(), octets: octetsClass(), failed: failureClass()}
	v.rrset = v.rrsetClass()
	v.rdataset = v.rdatasetClass()
	v.packet = v.packetClass()
	v.arrayClasses()
	return v
}

// Functions are those of the table kres that make and write such objects.
func (v *Objects) Functions() []script.Func {
	return []script.Func{
		{Name: "rr2str", Args: "record[, style]", Min: 1, Max: 2, Fn: recordText},
		{Name: "parse_rdata", Args: "{ 'TYPE data' }", Min: 1, Max: 1, Fn: parseRData},
		{Name: "rrset", Args: "[owner[, type[, class[, ttl]]]]", Max: 4, Fn: v.newRRSet},
		{Name: "packet", Args: "size[, wire]", Min: 1, Max: 2, Fn: v.newPacketOf},
	}
}

// Types are the classes by the names that C has for them.
func (v *Objects) Types() map[string]*script.Class {
	return map[string]*script.Class{"knot_pkt_t": v.packet, "knot_rrset_t": v.rrset, "struct sockaddr": v.addr}
}

// Describe says what help() calls the classes.
func (v *Objects) Describe(vm *script.VM) {
	vm.Describe(v.packet, "packet", "pkt")
	vm.Describe(v.rrset, "rrset", "rr")
	vm.Describe(v.addr, "address", "addr")
	vm.Describe(v.array, "array")
}
