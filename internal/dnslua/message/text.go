package message

import (
	"fmt"
	"strings"

	"kresd/internal/dnslua/terms"
	"kresd/internal/dnsname"
)

// Text is the packet as people read it.
func (p *Message) Text() string {
	var b strings.Builder
	rcode := p.Rcode()
	opt := p.OPT()
	if opt != nil {
		rcode |= int(opt.TTL>>24) << 4
	}
	fmt.Fprintf(&b, ";; ->>HEADER<<- opcode: %s; status: %s; id: %d\n", terms.OpcodeText(p.Opcode()), terms.RcodeText(rcode), p.id)
	var flags []string
	for _, f := range FlagNames() {
		if p.Flag(f.Bit) {
			flags = append(flags, f.Name)
		}
	}
	fmt.Fprintf(&b, ";; Flags: %s; QUERY: %d; ANSWER: %d; AUTHORITY: %d; ADDITIONAL: %d\n",
		strings.Join(flags, " "), p.counts[0], p.counts[1], p.counts[2], p.counts[3])
	if opt != nil {
		do := ""
		if opt.TTL&DOBit != 0 {
			do = " do"
		}
		fmt.Fprintf(&b, "\n;; OPT PSEUDOSECTION:\n; EDNS: version: %d, flags:%s; udp: %d\n", opt.TTL>>16&0xff, do, opt.Class)
	}
	if p.name != nil {
		name, _ := dnsname.FromWire(p.name)
		fmt.Fprintf(&b, "\n;; QUESTION\n;; %s\t%s\t%s\n", name, terms.TypeText(p.qtype), terms.ClassText(p.qclass))
	}
	for i, title := range []string{"ANSWER", "AUTHORITY", "ADDITIONAL"} {
		if list := p.Records(i); len(list) > 0 {
			fmt.Fprintf(&b, "\n;; %s\n", title)
			for _, rr := range list {
				b.WriteString(Usual().Line(rr) + "\n")
			}
		}
	}
	return b.String()
}
