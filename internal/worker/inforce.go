package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"kresd/internal/dnslua/terms"
	"kresd/internal/doh"
	"kresd/internal/limits"
)

// ConfigCommand implements console.Reloads: a command whose value is the configuration
// that is in force, where what was said and what is so by default look alike.
func (r *reloads) ConfigCommand() string {
	return configCommand()
}

// Defaults implements console.Reloads: what ConfigCommand would say where nothing was said.
func (r *reloads) Defaults() (json.RawMessage, error) { return r.checker.Defaults() }

// tellDefaults has a worker that does nothing (dry.go) say what is in force without a
// configuration.
func (k *checking) tellDefaults(ctx context.Context) {
	w, err := k.worker()
	if err != nil {
		k.report.add(mistake, err.Error(), "")
		return
	}
	defer w.abandon()
	if err := w.vm.RunText(ctx, "defaults", fmt.Sprintf(defaultConfiguration, limits.DefaultCacheSize)); err != nil {
		k.report.add(mistake, err.Error(), "")
		return
	}
	k.finish(w)
	text, wrong := w.vm.NewSession().EvalJSON(ctx, configCommand(), io.Discard)
	if wrong {
		k.report.add(mistake, text, "")
		return
	}
	k.report.defaults = json.RawMessage(text)
}

// defaultConfiguration is what applyDefaults does, as a configuration that a dry worker runs.
const defaultConfiguration = `net.listen('127.0.0.1', 53)
for _, i in pairs(net.interfaces()) do for _, a in ipairs(i.addr) do
	if a == '::1' then net.listen('::1', 53) end end end
cache.size = %d
log_level('notice')`

func configCommand() string {
	return fmt.Sprintf(configText, strings.Join(terms.Switches(), " "), limits.ConfigListed, strings.Join(doh.DefaultPaths(), " "))
}

// configText leaves out what a module would say that is not loaded. Of long lists it has the
// beginning and how many are left. Pins, files of certificates and keys, and paths of URLs
// are left out, since a path may be all that a client has to know; of their lists it has the
// lengths.
const configText = `local most = %[2]d
local function try(fn, ...) local ok, v, w = pcall(fn, ...) if not ok then return nil end return v, w end
local listening, anchors, switches = {}, {}, {}
local function first(names, text, n)
	local list = {}
	for i = 1, math.min(n, most) do list[names[i]] = text(names[i]) end
	if n > most then list['…'] = (n - most)..' more' end
	return list
end
local function rules(list)
	local ids, by = {}, {}
	for _, r in ipairs(list) do local id = tostring(r.id) table.insert(ids, id) by[id] = r end
	return first(ids, function(id) local r = by[id]
		return (r.cb and tostring(r.cb) or 'a function')..(r.suspended and ' (suspended)' or '') end, #ids)
end
local function hinted()
	local some, n = hints.get(nil, most)
	if n > most then some['…'] = (n - most)..' more' end
	return some
end
local function certificate()
	local c = net.tls()
	return c and { not_after = c.not_after }
end
local function authenticated()
	local all = net.tls_client()
	for _, s in pairs(all) do
		s.pin_sha256, s.ca_file = s.pin_sha256 and #s.pin_sha256, s.ca_file and #s.ca_file
	end
	return all
end
local function paths()
	local list = net.doh_paths()
	if table.concat(list, ' ') == '%[3]s' then return 'the usual ones' end
	return #list..' of its own'
end
for _, e in ipairs(net.endpoints()) do local t = e.transport
	table.insert(listening, (t.path or (t.ip or t.interface)..'@'..t.port)..' '..t.protocol..' '..e.kind) end
for owner, set in pairs(trust_anchors.keysets) do
	local name, tags = try(kres.dname2str, owner) or owner, {}
	for _, key in ipairs(set) do table.insert(tags, key.key_tag..' '..key.state) end
	anchors[name] = tags
end
for name in ('%[1]s'):gmatch('%%S+') do switches[name] = try(option, name) end
local clients, upstream = try(net.bufsize)
if type(clients) == 'table' then clients, upstream = clients[1], clients[2] end
return {
	net = { listen = listening, ipv4 = net.ipv4, ipv6 = net.ipv6, bufsize = clients, bufsize_upstream = upstream,
		tcp_pipeline = try(net.tcp_pipeline), tcp_in_idle = try(net.tcp_in_idle), limits = try(net.limits),
		tls = try(certificate), tls_padding = try(net.tls_padding), tls_client = try(authenticated), tls_opportunistic = try(net.tls_opportunistic),
		doh_paths = try(paths), proxy_allowed = try(net.proxy_allowed),
		forwarders = try(net.forwarders), outgoing_v4 = try(net.outgoing_v4), outgoing_v6 = try(net.outgoing_v6) },
	cache = { size = cache.current_size, storage = cache.current_storage, max_ttl = try(cache.max_ttl), min_ttl = try(cache.min_ttl),
		ns_tout = try(cache.ns_tout) },
	modules = modules.list(), mode = try(mode), reorder_RR = try(reorder_RR), option = switches,
	policy = { rules = rules(policy.rules), postrules = rules(policy.postrules) },
	view = type(view) == 'table' and { rules = try(function() return rules(view.rules) end) } or nil,
	trust_anchors = { keys = anchors, negative = try(function() return trust_anchors.negative end), hold_down_time = trust_anchors.hold_down_time },
	hints = { names = type(hints) == 'table' and try(hinted) or nil, ttl = type(hints) == 'table' and try(hints.ttl) or nil },
	log = { level = try(log_level), groups = try(log_groups), verbose = try(verbose) },
	hostname = try(hostname), moduledir = try(moduledir), workers = worker.count,
}`
