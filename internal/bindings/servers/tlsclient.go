package servers

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"kresd/internal/dnslua/terms"
	"kresd/internal/luavalue"
	"kresd/internal/modules/policy"
	"kresd/internal/modules/view"
	"kresd/internal/rules"
	"kresd/internal/script"
	"kresd/internal/settings"
	"kresd/internal/zonecut"
)

// tlsClient is net.tls_client: how servers at some addresses are spoken to by TLS,
// wherever a rule of the policy names them; and net.tls_opportunistic.
type tlsClient struct {
	d *Host
}

// A Host is what the functions control.
type Host struct {
	Reader
	Settings *settings.Settings
	Policy   *policy.Policy
	View     *view.View
	// Changed is called after a change.
	Changed func()
}

// Functions are those of the global net.
func Functions(d *Host) []script.Func {
	n := &tlsClient{d}
	return n.functions()
}

func (n *tlsClient) functions() []script.Func {
	return []script.Func{
		{Name: "tls_client", Args: "['address[@port]'[, pins[, ca_files, hostnames]] | { 'address[@port]', … }]", Max: 4, Fn: n.client},
		{Name: "tls_client_clear", Args: "'address[@port]'", Min: 1, Max: 1, Fn: n.clear},
		{Name: "tls_opportunistic", Args: "[true | false]", Max: 1, Fn: func(c *script.Call) error {
			on := &n.d.Settings.Opportunistic
			if c.NArgs() > 0 {
				on.Store(c.Bool(1))
			}
			return c.Return(on.Load())
		}},
	}
}

func (n *tlsClient) client(c *script.Call) error {
	if c.NArgs() == 0 {
		return n.list(c)
	}
	s, err := n.arguments(c)
	if err != nil {
		return fmt.Errorf("net.tls_client: %w", err)
	}
	at, peer, err := rules.TLSClient(&s)
	if err != nil {
		return fmt.Errorf("net.tls_client: %w", err)
	}
	n.speakTo(at, peer)
	n.d.Changed()
	return c.Return(true)
}

// arguments reads a table, or an address with up to three lists: pins, certificates of
// authorities and names; two lists are the last two.
func (n *tlsClient) arguments(c *script.Call) (s rules.Server, err error) {
	if t, ok := c.Arg(1).(*luavalue.Table); ok {
		if c.NArgs() > 1 {
			return s, errors.New("the table has all that is to be said about a server: no further arguments expected")
		}
		return n.d.server(t)
	}
	s.Text = c.Text(1)
	var lists [3][]string
	for i := range c.NArgs() - 1 {
		if c.IsNil(i + 2) {
			continue
		}
		if lists[i], err = terms.TextList(c.Arg(i + 2)); err != nil {
			return s, fmt.Errorf("argument %d: %w", i+2, err)
		}
	}
	pinned, files, names := lists[0], lists[1], lists[2]
	if c.NArgs() == 3 { // pins are left out
		pinned, files, names = nil, lists[0], lists[1]
	}
	if s.Proof.Pins, err = pins(pinned); err != nil {
		return s, err
	}
	if s.Proof.Names, err = hostNames(names); err != nil {
		return s, err
	}
	switch {
	case len(files) > 0 && len(names) == 0:
		return s, errors.New("certificate authorities are of no use without a host name")
	case c.NArgs() > 1 && len(pinned)+len(names) == 0:
		return s, errors.New("neither pins nor host names are given (is a variable misspelt?), so that any server would do; who wants that gives the address alone")
	}
	s.Proof.Authorities = files
	s.Proof.Insecure = len(s.Proof.Pins)+len(s.Proof.Names) == 0
	return s, n.d.authorities(files)
}

func (n *tlsClient) clear(c *script.Call) error {
	at, _, err := rules.TLSClient(&rules.Server{Text: c.Text(1), Proof: zonecut.PeerConfig{Insecure: true}})
	if err != nil {
		return fmt.Errorf("net.tls_client_clear: %w", err)
	}
	had := n.speakTo(at, zonecut.Peer{})
	n.d.Changed()
	return c.Return(had)
}

// speakTo has all rules speak to a server so, and tells whether something was said before.
func (n *tlsClient) speakTo(at netip.AddrPort, as zonecut.Peer) (before bool) {
	before = n.d.Policy.SpeakTo(at, as)
	n.d.View.Renew()
	return before
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
		t.Add(addressText(at), serverTable(at, all[at]))
	}
	return c.Return(t)
}
