package daf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/rules"
)

// action reads the action, the last part of a rule. post tells that it is for answers.
func (d *DAF) action(w *words) (a *rules.Action, post bool, err error) {
	switch name := strings.ToLower(w.next()); name {
	case "pass":
		return rules.Pass(), false, nil
	case "deny":
		return rules.Deny(), false, nil
	case "drop":
		return rules.Drop(), false, nil
	case "refuse":
		return rules.Refuse(), false, nil
	case "tc", "truncate":
		return rules.Truncate(), false, nil
	case "forward":
		a, err = d.forward(w)
		return a, false, err
	case "mirror":
		if w.peek() == "" {
			return nil, false, errors.New("an address is expected behind mirror")
		}
		a, err = d.config.Mirror(w.next())
		return a, false, err
	case "answer":
		a, err = d.answer(w)
		return a, false, err
	case "reroute":
		a, err = reroute(w)
		return a, true, err
	case "rewrite":
		a, err = rewrite(w)
		return a, true, err
	case "":
		return nil, false, errors.New("an action is expected at the end: " + actions)
	default:
		return nil, false, fmt.Errorf("'%s' is no action; there are %s", name, actions)
	}
}

const actions = "pass, deny, drop, refuse, tc, truncate, forward, mirror, answer, reroute and rewrite"

// forward reads the addresses of forwarders, with commas between.
func (d *DAF) forward(w *words) (*rules.Action, error) {
	text := w.next()
	for strings.HasSuffix(text, ",") || strings.HasPrefix(w.peek(), ",") {
		more := w.next()
		if more == "" {
			break
		}
		text += more
	}
	var servers []rules.Server
	for _, one := range strings.Split(text, ",") {
		if one == "" {
			return nil, errors.New("an address is expected behind forward")
		}
		servers = append(servers, rules.Server{Text: one})
	}
	return rules.Forward(servers, d.config.Peers)
}

// answer reads a type and data as zone files have them, to the end of the rule.
func (d *DAF) answer(w *words) (*rules.Action, error) {
	text := w.rest()
	t, data, err := d.config.Data(text)
	if err != nil {
		return nil, fmt.Errorf("answer '%s': %w", text, err)
	}
	return rules.Answer(map[uint16]rules.Data{t: rules.NewData([][]byte{data}, nil)}, true).WithArgs(text), nil
}

// reroute reads pairs FROM-TO of networks or addresses, to the end of the rule.
func reroute(w *words) (*rules.Action, error) {
	var list rules.Rewrites
	for w.peek() != "" {
		from, to, ok := strings.Cut(w.next(), "-")
		if !ok {
			return nil, fmt.Errorf("'%s' is not of the form from-to", from)
		}
		one, err := rules.NewRewrite(from, to)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		return nil, errors.New("pairs from-to of addresses or networks are expected behind reroute")
	}
	return rules.Reroute(list), nil
}

// rewrite reads a name, a type and the address that the name shall have.
func rewrite(w *words) (*rules.Action, error) {
	text, t, target := w.next(), strings.ToUpper(w.next()), w.next()
	name, err := dnsname.Parse(text)
	if err != nil || text == "" {
		return nil, errors.New("a name, a type and an address are expected behind rewrite")
	}
	to, err := netip.ParseAddr(target)
	switch {
	case err != nil || to.Zone() != "":
		return nil, fmt.Errorf("'%s' is no address", target)
	case t == "A" && to.Unmap().Is4(), t == "AAAA" && !to.Is4():
		return rules.Readdress(name, addressFor(t, to)), nil
	case t != "A" && t != "AAAA":
		return nil, fmt.Errorf("'%s' is neither A nor AAAA", t)
	}
	return nil, fmt.Errorf("'%s' is no address of type %s", target, t)
}

// addressFor is an address as a record of the type has it.
func addressFor(t string, a netip.Addr) netip.Addr {
	if t == "A" {
		return a.Unmap()
	}
	return a
}
