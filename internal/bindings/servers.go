package bindings

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"

	"kresd/internal/dnslua"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/rules"
	"kresd/internal/textfile"
	"kresd/internal/wording"
	"kresd/internal/zonecut"
)

// serverList reads who is asked by a rule: one server or a list of them, each a text or a
// table. A table with named fields is one server.
func serverList(v any) ([]rules.Server, error) {
	t, ok := v.(*luavalue.Table)
	if !ok || hasNames(t) {
		s, err := serverOf(v)
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
		s, err := serverOf(v)
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

// serverOf reads 'address', or { 'address', pin_sha256 = …, hostname = …, ca_file = …,
// insecure = true, address = … }.
func serverOf(v any) (s rules.Server, err error) {
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
			if err := setServer(&s, p); err != nil {
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

// setServer takes one field of a server's table.
func setServer(s *rules.Server, p luavalue.Pair) (err error) {
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
			s.Proof.Authorities, err = authorities(list)
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
	list, err := dnslua.TextList(p.Value)
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

// authorities reads files of certificates in PEM. They are read now: a file that changes
// counts when the configuration is read again.
func authorities(files []string) (certs [][]byte, err error) {
	for _, file := range files {
		text, err := textfile.Read(file, limits.AuthoritiesFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file '%s': %w", file, wording.Reason(err))
		}
		before := len(certs)
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				continue
			}
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return nil, fmt.Errorf("ca_file '%s': certificate %d cannot be read: %w", file, len(certs)-before+1, err)
			}
			certs = append(certs, block.Bytes)
		}
		if len(certs) == before {
			return nil, fmt.Errorf("ca_file '%s' has no certificate in PEM", file)
		}
	}
	return certs, nil
}

// serverTable shows a peer in the form in which it is configured.
func serverTable(at netip.AddrPort, peer zonecut.Peer, files []string) *luavalue.Table {
	c := peer.Config()
	t := &luavalue.Table{}
	list := func(name string, texts []string) {
		if len(texts) > 0 {
			values := make([]any, len(texts))
			for i, text := range texts {
				values[i] = text
			}
			t.Add(name, luavalue.List(values...))
		}
	}
	t.Add(float64(1), addressText(at))
	pins := make([]string, len(c.Pins))
	for i, pin := range c.Pins {
		pins[i] = base64.StdEncoding.EncodeToString(pin[:])
	}
	list("pin_sha256", pins)
	list("hostname", c.Names)
	list("ca_file", files)
	if c.Insecure {
		t.Add("insecure", true)
	}
	return t
}

func addressText(at netip.AddrPort) string { return fmt.Sprintf("%s@%d", at.Addr(), at.Port()) }
