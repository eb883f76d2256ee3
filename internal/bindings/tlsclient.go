package bindings

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"kresd/internal/dnslua"
	"kresd/internal/luavalue"
	"kresd/internal/rules"
	"kresd/internal/script"
	"kresd/internal/zonecut"
)

// tlsClient is net.tls_client: how servers at some addresses are spoken to by TLS,
// wherever a rule of the policy names them; and net.tls_opportunistic.
type tlsClient struct {
	d     *Daemon
	files map[netip.AddrPort][]string // ca_file, for net.tls_client()
}

func (n *tlsClient) functions() []script.Func {
	return funcs(
		script.Func{Name: "tls_client", Args: "['address[@port]'[, pins[, ca_files, hostnames]] | { 'address[@port]', … }]", Max: 4, Fn: n.client},
		script.Func{Name: "tls_client_clear", Args: "'address[@port]'", Min: 1, Max: 1, Fn: n.clear},
		script.Func{Name: "tls_opportunistic", Args: "[true | false]", Max: 1, Fn: func(c *script.Call) error {
			on := &n.d.Settings.Opportunistic
			if c.NArgs() > 0 {
				on.Store(c.Bool(1))
			}
			return c.Return(on.Load())
		}},
	)
}

func (n *tlsClient) client(c *script.Call) error {
	if c.NArgs() == 0 {
		return n.list(c)
	}
	s, files, err := clientArgs(c)
	if err != nil {
		return fmt.Errorf("net.tls_client: %w", err)
	}
	at, peer, err := rules.TLSClient(&s)
	if err != nil {
		return fmt.Errorf("net.tls_client: %w", err)
	}
	n.d.Policy.SpeakTo(at, peer)
	n.files[at] = files
	n.d.changed()
	return c.Return(true)
}

// clientArgs reads a table, or an address with up to three lists: pins, certificates of
// authorities and names; two lists are the last two.
func clientArgs(c *script.Call) (s rules.Server, files []string, err error) {
	if t, ok := c.Arg(1).(*luavalue.Table); ok {
		if c.NArgs() > 1 {
			return s, nil, errors.New("the table has all that is to be said about a server: no further arguments expected")
		}
		s, err = serverOf(t)
		if err == nil && len(s.Proof.Authorities) > 0 {
			files, err = dnslua.TextList(t.Get("ca_file"))
		}
		return s, files, err
	}
	s.Text = c.Text(1)
	var lists [3][]string
	for i := range c.NArgs() - 1 {
		if c.IsNil(i + 2) {
			continue
		}
		if lists[i], err = dnslua.TextList(c.Arg(i + 2)); err != nil {
			return s, nil, fmt.Errorf("argument %d: %w", i+2, err)
		}
	}
	pinned, names := lists[0], lists[2]
	files = lists[1]
	if c.NArgs() == 3 { // pins are left out
		pinned, files, names = nil, lists[0], lists[1]
	}
	if s.Proof.Pins, err = pins(pinned); err != nil {
		return s, nil, err
	}
	if s.Proof.Names, err = hostNames(names); err != nil {
		return s, nil, err
	}
	switch {
	case len(files) > 0 && len(names) == 0:
		return s, nil, errors.New("certificate authorities are of no use without a host name")
	case c.NArgs() > 1 && len(pinned)+len(names) == 0:
		return s, nil, errors.New("neither pins nor host names are given (is a variable misspelt?), so that any server would do; who wants that gives the address alone")
	}
	if s.Proof.Authorities, err = authorities(files); err != nil {
		return s, nil, err
	}
	s.Proof.Insecure = len(s.Proof.Pins)+len(s.Proof.Names) == 0
	return s, files, nil
}

func (n *tlsClient) clear(c *script.Call) error {
	at, _, err := rules.TLSClient(&rules.Server{Text: c.Text(1), Proof: zonecut.PeerConfig{Insecure: true}})
	if err != nil {
		return fmt.Errorf("net.tls_client_clear: %w", err)
	}
	had := n.d.Policy.SpeakTo(at, zonecut.Peer{})
	delete(n.files, at)
	n.d.changed()
	return c.Return(had)
}

// list shows all servers, by their addresses.
func (n *tlsClient) list(c *script.Call) error {
	all := n.d.Policy.Peers.All()
	addrs := make([]netip.AddrPort, 0, len(all))
	for at := range all {
		addrs = append(addrs, at)
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	t := &luavalue.Table{}
	for _, at := range addrs {
		t.Add(addressText(at), serverTable(at, all[at], n.files[at]))
	}
	return c.Return(t)
}
