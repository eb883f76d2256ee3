package worker

import (
	"fmt"
	"strings"

	"kresd/internal/dnslua"
)

// ConfigCommand implements console.Reloads: a command whose value is the configuration
// that is in force, where what was said and what is so by default look alike.
func (r *reloads) ConfigCommand() string {
	return fmt.Sprintf(configCommand, strings.Join(dnslua.Switches(), " "))
}

// configCommand leaves out what a module would say that is not loaded.
const configCommand = `local function try(fn, ...) local ok, v, w = pcall(fn, ...) if not ok then return nil end return v, w end
local function count(list) local n = 0 for _ in pairs(list or {}) do n = n + 1 end return n end
local listening, anchors, switches = {}, {}, {}
for _, e in ipairs(net.endpoints()) do local t = e.transport
	table.insert(listening, (t.path or (t.ip or t.interface)..'@'..t.port)..' '..t.protocol..' '..e.kind) end
for owner, set in pairs(trust_anchors.keysets) do
	local name, tags = try(kres.dname2str, owner) or owner, {}
	for _, key in ipairs(set) do table.insert(tags, key.key_tag..' '..key.state) end
	anchors[name] = tags
end
for name in ('%s'):gmatch('%%S+') do switches[name] = try(option, name) end
local clients, upstream = try(net.bufsize)
if type(clients) == 'table' then clients, upstream = clients[1], clients[2] end
return {
	net = { listen = listening, ipv4 = net.ipv4, ipv6 = net.ipv6, bufsize = clients, bufsize_upstream = upstream,
		tcp_pipeline = try(net.tcp_pipeline), tcp_in_idle = try(net.tcp_in_idle), limits = try(net.limits),
		forwarders = try(net.forwarders), outgoing_v4 = try(net.outgoing_v4), outgoing_v6 = try(net.outgoing_v6) },
	cache = { size = cache.current_size, storage = cache.current_storage, max_ttl = try(cache.max_ttl), min_ttl = try(cache.min_ttl),
		ns_tout = try(cache.ns_tout) },
	modules = modules.list(), mode = try(mode), reorder_RR = try(reorder_RR), option = switches,
	policy = { rules = count(policy.rules), postrules = count(policy.postrules) },
	trust_anchors = { keys = anchors, negative = try(function() return trust_anchors.negative end), hold_down_time = trust_anchors.hold_down_time },
	hints = { names = type(hints) == 'table' and count(try(hints.get)) or nil, ttl = type(hints) == 'table' and try(hints.ttl) or nil },
	log = { level = try(log_level), groups = try(log_groups), verbose = try(verbose) },
	hostname = try(hostname), moduledir = try(moduledir), workers = worker.count,
}`
