package rules

import (
	"fmt"
	"net/netip"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// Text is a rule in short, on one line, in the words of a configuration: filter, action,
// where it sends questions, and names, of which many are counted. Pins, files and the paths
// of URLs, which may be somebody's own, are left out.
func (r *Rule) Text() string {
	switch {
	case r.Words != "":
		return r.Words
	case r.Pick != nil:
		return "a function"
	}
	var args []string
	for _, a := range r.actions() {
		args = append(args, a.Text())
	}
	function := r.Filter.String()
	switch {
	case r.Filter.kind == pattern:
		args = append(args, Quoted(r.Filter.pattern))
	case r.Filter.kind == listed:
		args = append(args, Quoted(r.Filter.list.title))
	case r.Filter.named():
		args = append(args, r.Filter.names.text())
	}
	if r.Filter.common != "" {
		function += "_common"
		args = append(args, "todname("+Quoted(r.Filter.common.String())+")")
	}
	return fmt.Sprintf("policy.%s(%s)", function, strings.Join(args, ", "))
}

// Text is an action in the words of a configuration.
func (a *Action) Text() string {
	switch text := "policy." + a.name; {
	case a.to != nil:
		return text + "(" + serversText(a.to.named.NS) + ")"
	case a.args != "":
		return text + "(" + a.args + ")"
	default:
		return text
	}
}

// WithArgs is the action with the arguments that a configuration gave, for Text.
func (a *Action) WithArgs(text string) *Action {
	with := *a
	with.args = text
	return &with
}

// Quoted is a text as Lua has it.
func Quoted(text string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\'' || c == '\\':
			b.Write([]byte{'\\', c})
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// text lists the first of the names and says how many others there are.
func (s *names) text() string {
	words := make([]string, 0, limits.RuleTextNames)
	for at := 0; at < len(s.octets) && len(words) < limits.RuleTextNames; at += int(s.octets[at]) + 1 {
		words = append(words, Quoted(dnsname.Name(s.at(uint32(at))).String()))
	}
	if more := s.n - len(words); more > 0 {
		words = append(words, fmt.Sprintf("… %d more", more))
	}
	return "policy.todnames(" + braced(words) + ")"
}

// serversText is where questions go.
func serversText(list []zonecut.NameServer) string {
	words := make([]string, len(list))
	for i := range list {
		words[i] = Quoted(serverText(&list[i]))
	}
	return braced(words)
}

// serverText is one of them: its address, with its port where that is not the usual one,
// and, but for plain DNS, the protocol and the name that it has to prove.
func serverText(ns *zonecut.NameServer) string {
	by := ns.Peer.Protocol()
	addr := ns.Addrs[0].String()
	usual := ns.Port == 0 || ns.Port == by.Port()
	if by == zonecut.Do53 {
		if usual {
			return addr
		}
		return fmt.Sprintf("%s@%d", addr, ns.Port)
	}
	text := map[zonecut.Protocol]string{zonecut.DoT: "tls", zonecut.DoH: "https", zonecut.DoQ: "quic"}[by] + "://"
	switch ip, err := netip.ParseAddr(addr); {
	case !usual:
		text += netip.AddrPortFrom(ip, ns.Port).String()
	case err == nil && ip.Is6():
		text += "[" + addr + "]"
	default:
		text += addr
	}
	if names := ns.Peer.Config().Names; len(names) > 0 && names[0] != addr {
		text += " (" + names[0] + ")"
	}
	return text
}

func braced(words []string) string {
	if len(words) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(words, ", ") + " }"
}
