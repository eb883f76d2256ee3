package reference

func network() Chapter {
	return Chapter{Title: "net", Intro: "Where kresd listens, and how it speaks to clients and servers.", Entries: []Entry{
		{
			Name: "net", Summary: "addresses to listen on and parameters of the transports; avoid the wildcards 0.0.0.0 and :: on machines with several addresses: name the addresses instead",
			Example: "net = { '127.0.0.1', '::1' }", Apart: "it binds port 53",
		},
		{
			Name: "net.listen", Summary: "listen on addresses; on machines with several addresses avoid 0.0.0.0 and ::, name the addresses",
			Params:  []string{"addresses: an address, an interface (net.eth0), its name, the path of a UNIX socket (/run/dns), or a list of them", "port: 53 unless given", "flags: a table; kind = 'dns', 'tls' (which port 853 is without flags; also tls = true), 'doh2' (HTTPS), 'http' (the same behind a proxy; also tls = false beside 'doh2') or 'doq'; freebind = true binds what the machine does not have yet; mode = '660' are the permissions of a UNIX socket, else 600"},
			Returns: "true; what cannot be bound is an error on the console, and false and a line of the log in a configuration",
			Example: "net.listen('127.0.0.1', 5353)", Apart: "it binds a port",
		},
		{
			Name: "net.close", Summary: "stop listening on an address",
			Params:  []string{"address: as net.list() shows it, or a path", "port: 53 unless given"},
			Returns: "whether it was listened on",
			Example: "net.close('127.0.0.1', 5353)",
		},
		{
			Name: "net.list", Summary: "bound addresses",
			Returns: "a table by addresses, of tables with port, udp, tcp, and tls = true for DNS over TLS; further ports of an address are under more; a path has unix",
			Example: "net.list()",
		},
		{
			Name: "net.endpoints", Summary: "bound addresses as a list, one entry for each transport",
			Returns: "a list of tables with kind and transport (family, ip, port, protocol; of a UNIX socket family, path, protocol)",
			Example: "for _, e in ipairs(net.endpoints()) do print(e.kind, e.transport.ip, e.transport.port) end",
		},
		{
			Name: "net.interfaces", Summary: "interfaces of this machine and their addresses; net.eth0 is short for one of them",
			Returns: "a table by names, of tables with addr, a list, and mac",
			Example: "net.interfaces().lo.addr[1]",
		},
		{Name: "net.ipv4", Summary: "whether IPv4 is used towards other servers", Example: "net.ipv4 = true"},
		{Name: "net.ipv6", Summary: "whether IPv6 is used towards other servers", Example: "net.ipv6 = false"},
		{
			Name: "net.bufsize", Summary: "EDNS size offered, in octets (512 to 65535)",
			Params:  []string{"clients: what clients are offered", "upstream: what servers are offered; without it the same, at most 1232"},
			Returns: "without an argument both, else nothing",
			Example: "net.bufsize(4096, 1232)",
		},
		{
			Name: "net.tcp_pipeline", Summary: "outstanding queries of one TCP connection (0 to 65535)",
			Params:  []string{"n: the number from now on"},
			Returns: "the number",
			Example: "net.tcp_pipeline(100)",
		},
		{
			Name: "net.tcp_in_idle", Summary: "how long a TCP connection may idle, in milliseconds",
			Params:  []string{"ms: the time from now on"},
			Returns: "the time in milliseconds",
			Example: "net.tcp_in_idle(10 * sec)",
		},
		{
			Name: "net.tls", Summary: "the certificate that clients of encrypted transports see; its files are read again when they change, and what cannot be used replaces nothing; without files an ephemeral certificate serves, whose pin is in the log",
			Params:  []string{"certificate: a file with the certificate, and those between it and a root, as PEM", "key: a file with its private key"},
			Returns: "without arguments a table with cert_file, key_file and not_after, when the certificate expires, or nil; else true",
			Example: "net.tls('/etc/knot-resolver/server-cert.pem', '/etc/knot-resolver/server-key.pem')", Apart: "the files are the user's",
		},
		{
			Name: "net.tls_server", Summary: "the same as net.tls",
			Params:  []string{"certificate: as for net.tls", "key: as for net.tls"},
			Returns: "as net.tls",
			Example: "net.tls_server()",
		},
		{
			Name: "net.tls_sticket_secret", Summary: "what the keys of session tickets follow from, a new key each 4096 seconds: who has the same secret resumes the sessions of the others' clients (TLS 1.3 only); change it now and then, for it opens what was recorded",
			Params:  []string{"secret: 32 octets or more that nobody can guess; without it a random one, which the workers of a group have in common"},
			Returns: "true",
			Example: "net.tls_sticket_secret()",
		},
		{
			Name: "net.tls_sticket_secret_file", Summary: "the same with the secret in a file, where no console's history shows it",
			Params:  []string{"file: any octets, 32 at least; the first 1024 count"},
			Returns: "true",
			Example: "net.tls_sticket_secret_file('/etc/knot-resolver/ticket.secret')", Apart: "the file is the user's",
		},
		{
			Name: "net.tls_handshake_timeout", Summary: "how long a client's TLS handshake may take, in milliseconds",
			Params:  []string{"ms: the time from now on"},
			Returns: "the time in milliseconds",
			Example: "net.tls_handshake_timeout(6 * sec)",
		},
		{
			Name: "net.tls_padding", Summary: "how long answers over encrypted transports are made, so that their length tells less; only clients with EDNS get padding (RFC 7830)",
			Params:  []string{"true | false | octets: true for multiples of 468 octets (RFC 8467), false for none, or of how many octets the length shall be a multiple (0 to 4096; 0 and 1 are none)"},
			Returns: "without an argument the value in force, else true",
			Example: "net.tls_padding(true)",
		},
		{
			Name: "net.doh_paths", Summary: "at which paths questions are answered by HTTP",
			Params:  []string{"path | { paths }: instead of those before"},
			Returns: "the list in force; /dns-query and /doh unless set",
			Example: "net.doh_paths({ '/dns-query' })",
		},
		{
			Name: "net.doh_headers", Summary: "which headers of a request by HTTP scripts see, as req.qsource.headers",
			Params:  []string{"name | { names }: instead of those before, {} for none; :method, :path, :authority and :scheme are those of HTTP/2, for HTTP/1.1 too"},
			Returns: "the list in force",
			Example: "net.doh_headers({ 'user-agent' })",
		},
		{
			Name: "net.limits", Summary: "what clients may use up in this worker; worker.limits() counts what was hit",
			Params:  []string{"{ name = n, … }: pending (questions that wait), waiters_per_client, late_waiters (above how many of one client late answers are not sent), tcp_conns, tcp_conns_per_client, outstanding_per_server, outstanding_per_zone (questions under way)"},
			Returns: "a table of what is in force",
			Example: "net.limits({ waiters_per_client = 3000 })",
		},
		{
			Name: "net.proxy_allowed", Summary: "proxies in front that say by a header of the PROXY protocol, version 2, for whom they ask: they must, and nobody else may",
			Params:  []string{"{ 'address or network', … }: instead of those before; {} for none"},
			Returns: "the list in force",
			Example: "net.proxy_allowed({ '192.0.2.1', '2001:db8::/64' })",
		},
		{
			Name: "net.forwarders", Summary: "resolvers in front that ask for many clients: what counts for one client does not count for them",
			Params:  []string{"{ 'address or network', … }: instead of those before; {} for none"},
			Returns: "the list in force",
			Example: "net.forwarders({ '192.0.2.1', '10.0.0.0/8' })",
		},
		{
			Name: "net.outgoing_v4", Summary: "source address of queries to other servers by IPv4",
			Params:  []string{"address | nil: an address of this machine; nil is the system's choice"},
			Returns: "without an argument the address or nil, else true",
			Example: "net.outgoing_v4(nil)",
		},
		{
			Name: "net.outgoing_v6", Summary: "source address of queries to other servers by IPv6",
			Params:  []string{"address | nil: an address of this machine; nil is the system's choice"},
			Returns: "without an argument the address or nil, else true",
			Example: "net.outgoing_v6(nil)",
		},
		{
			Name: "net.tls_client", Summary: "speak to a server by DNS over TLS wherever policy.FORWARD or policy.STUB names its address and port, also in rules that are in force; policy.TLS_FORWARD takes from it what it does not say itself",
			Params: []string{
				"'address[@port]': port 853 unless given; policy.FORWARD and policy.STUB ask port 53 unless told otherwise",
				"pins: of which the server's key must be one; a text or a list of base64 texts of SHA-256",
				"ca_files, hostnames: or else a name that its certificate must have, and files of certificates of which one must vouch for it; {} for those that the system trusts. Two lists are these; with three, pins come first, and a pin or a name will do",
				"{ 'address[@port]', … }: instead of all the above, with pin_sha256 = pins, hostname = hostnames, ca_file = ca_files, insecure = true",
			},
			Returns: "true; without an argument a table by addresses of such tables. Without pins and names the server's proof is not looked at",
			Example: "net.tls_client({ '192.0.2.1@853', hostname = 'dns.example' })",
		},
		{
			Name: "net.tls_client_clear", Summary: "end what net.tls_client said of a server",
			Params:  []string{"'address[@port]': port 853 unless given"},
			Returns: "whether something was said",
			Example: "net.tls_client_clear('192.0.2.1@853')",
		},
		{
			Name: "net.tls_opportunistic", Summary: "ask authoritative servers by DNS over TLS where they listen for it (RFC 9539), so that who listens to the network learns less; who they are is not proven, and nobody waits for it. What is found out is shared by all workers: three days a success counts, one day a failure. Forwarders are not concerned",
			Params:  []string{"true | false: off unless switched on"},
			Returns: "whether it is on",
			Example: "net.tls_opportunistic(true)",
		},
	}}
}
