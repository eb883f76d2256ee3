// Package servers is what scripts say of servers that questions are sent to: who is asked by a
// rule, and how a server is spoken to by TLS (net.tls_client). Rules of the policy and the
// global net both read servers by it.
package servers

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"

	"kresd/internal/dnslua/terms"
	"kresd/internal/luavalue"
	"kresd/internal/rules"
	"kresd/internal/wording"
	"kresd/internal/zonecut"
)

// A Reader reads what scripts say of servers. Use puts a file of authorities into use.
type Reader struct{ Use func(file string) error }

// List reads who is asked by a rule: one server or a list of them, each a text or a
// table. A table with named fields is one server.
func (r Reader) List(v any) ([]rules.Server, error) {
	t, ok := v.(*luavalue.Table)
	if !ok || hasNames(t) {
		s, err := r.server(v)
		if err != nil {
			return nil, err
		}
		return []rules.Server{s}, nil
	}
	values := t.Values()
	if len(values) != len(t.Pairs) {
		return nil, errors.New("a list of addresses expected")
	}
	list := make([]rules.Server, 0, len(values))
	for i, v := range values {
		s, err := r.server(v)
		if err != nil {
			return nil, fmt.Errorf("address %d: %w", i+1, err)
		}
		list = append(list, s)
	}
	return list, nil
}

func hasNames(t *luavalue.Table) bool {
	for _, p := range t.Pairs {
		if _, ok := p.Key.(string); ok {
			return true
		}
	}
	return false
}

// server reads 'address', or { 'address', pin_sha256 = …, hostname = …, ca_file = …,
// insecure = true, address = … }.
func (r Reader) server(v any) (s rules.Server, err error) {
	switch v := v.(type) {
	case string:
		return rules.Server{Text: v}, nil
	case *luavalue.Table:
		for _, p := range v.Pairs {
			if p.Key == "address" {
				if s.Addresses, err = texts(p); err != nil {
					return s, err
				}
				continue
			}
			if err := r.set(&s, p); err != nil {
				return s, err
			}
		}
		if s.Text == "" {
			return s, errors.New("a server begins with its address: { '192.0.2.1', hostname = 'dns.example' }")
		}
		return s, nil
	}
	return s, errors.New("an address, or a table that begins with one, expected")
}

// set takes one field of a server's table.
func (r Reader) set(s *rules.Server, p luavalue.Pair) (err error) {
	switch p.Key {
	case float64(1):
		text, ok := p.Value.(string)
		if !ok {
			return errors.New("a server begins with its address")
		}
		s.Text = text
	case "pin_sha256":
		var list []string
		if list, err = texts(p); err == nil {
			s.Proof.Pins, err = pins(list)
		}
	case "hostname":
		var list []string
		if list, err = texts(p); err == nil {
			s.Proof.Names, err = hostNames(list)
		}
	case "ca_file":
		var list []string
		if list, err = texts(p); err == nil {
			s.Proof.Authorities, err = list, r.authorities(list)
		}
	case "insecure":
		on, ok := p.Value.(bool)
		if !ok {
			return errors.New("insecure is true or false")
		}
		s.Proof.Insecure = on
	default:
		return fmt.Errorf("'%v' means nothing here; there are pin_sha256, hostname, ca_file, insecure and address", p.Key)
	}
	return err
}

// texts is the value of a field that is a text or a list of texts, which is not empty.
func texts(p luavalue.Pair) ([]string, error) {
	list, err := terms.TextList(p.Value)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%v: %w", p.Key, err)
	case len(list) == 0:
		return nil, fmt.Errorf("%v is empty", p.Key)
	}
	return list, nil
}

// pins reads pins as other programs write them (RFC 7858, appendix A).
func pins(list []string) (pins []zonecut.Pin, err error) {
	for _, text := range list {
		octets, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(octets) != len(zonecut.Pin{}) {
			return nil, fmt.Errorf("'%s' is no pin: the base64 text of the 32 octets of a SHA-256 is one", wording.Printable(text))
		}
		pins = append(pins, zonecut.Pin(octets))
	}
	return pins, nil
}

func hostNames(list []string) (names []string, err error) {
	for _, text := range list {
		name, err := rules.HostName(text)
		if err != nil {
			return nil, fmt.Errorf("hostname: %w", err)
		}
		names = append(names, name)
	}
	return names, nil
}

// authorities puts files of certificates into use, which are read again when they change.
func (r Reader) authorities(files []string) error {
	for _, file := range files {
		if err := r.Use(file); err != nil {
			return err
		}
	}
	return nil
}

// serverTable shows a peer in the form in which it is configured.
func serverTable(at netip.AddrPort, peer zonecut.Peer) *luavalue.Table {
	c := peer.Config()
	t := &luavalue.Table{}
	list := func(name string, texts []string) {
		if len(texts) > 0 {
			t.Add(name, luavalue.Texts(texts))
		}
	}
	t.Add(float64(1), addressText(at))
	pins := make([]string, len(c.Pins))
	for i, pin := range c.Pins {
		pins[i] = base64.StdEncoding.EncodeToString(pin[:])
	}
	list("pin_sha256", pins)
	list("hostname", c.Names)
	list("ca_file", c.Authorities)
	if c.Insecure {
		t.Add("insecure", true)
	}
	return t
}

func addressText(at netip.AddrPort) string { return fmt.Sprintf("%s@%d", at.Addr(), at.Port()) }
