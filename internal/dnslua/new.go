package dnslua

import "kresd/internal/script"

// NewViews makes it for one machine.
func NewViews(vm *script.VM) *Views {
	v := &Views{vm: vm}
	v.octets = octetsClass()
	v.failed = failureClass()
	v.rrset = v.rrsetClass()
	v.rdataset = v.rdatasetClass()
	v.packet = v.packetClass()
	v.arrayClasses()
	v.selected = v.selectedClass()
	v.flags = flagsClass()
	v.addr = addrClass()
	v.qsource = v.qsourceClass()
	v.pool = poolClass()
	v.upstream = v.upstreamClass()
	v.server, v.timestamp = serverClass(), timestampClass()
	v.cut = v.cutClass()
	v.query = v.queryClass()
	v.plan = v.planClass()
	v.request = v.requestClass()
	v.context, v.hints, v.cache, v.cacheStats = v.contextClass(), hintsClass(), v.cacheClass(), cacheStatsClass()
	v.lru, v.cell = v.lruClass(), cellClass()
	v.callback, v.parser = callbackClass(), parserClass()
	return v
}
