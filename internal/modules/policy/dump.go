package policy

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// describe is a client's question in one line.
func describe(req *resolve.Request, origin bool) string {
	var flags []string
	for _, f := range []struct {
		on   bool
		name string
	}{{req.RD, "rd"}, {req.CD, "cd"}, {req.DO, "do"}} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	from := ""
	if origin {
		if from = "; internal"; req.Client.IsValid() {
			from = fmt.Sprintf("; from %s by %v", req.Client, req.Transport.Kind)
		}
	}
	return fmt.Sprintf("[%05d] question %s %s; flags: %s%s", req.ID, req.Name, typeName(req.Type), strings.Join(flags, " "), from)
}

func typeName(t uint16) string { return dns.Type(t).String() }

func rcodeName(rcode int) string {
	if name, ok := dns.RcodeToString[rcode]; ok {
		return name
	}
	return fmt.Sprintf("RCODE%d", rcode)
}

// outcomeText is what a client is told.
func outcomeText(req *resolve.Request) string {
	var b strings.Builder
	res := &req.Result
	fmt.Fprintf(&b, "[%05d] answer %s", req.ID, rcodeName(res.Rcode))
	if res.EDE != ede.None {
		fmt.Fprintf(&b, ", extended error %d %s", res.EDE, res.EDEText)
	}
	for _, section := range [][]resolve.Set{res.Answer, res.Authority, res.Additional} {
		for i := range section {
			s := &section[i]
			for _, data := range s.Data {
				b.WriteString("\n" + recordText(wire.RR{Owner: s.Owner, Type: s.Type, Class: s.Class, TTL: s.TTL, RData: data}))
			}
		}
	}
	return b.String()
}

// consume writes an answer that a server gave to the log for QTRACE.
func (p *Policy) consume(req *resolve.Request, q *resolve.Query, msg *wire.Msg) resolve.State {
	if s := transcriptOf(req); s != nil && s.dump && msg != nil {
		p.Log(messageText(req, q, msg))
	}
	return resolve.Consume
}

func messageText(req *resolve.Request, q *resolve.Query, msg *wire.Msg) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%05d.%02d] %s says to %s %s: %s", req.ID, q.ID, q.Server.Addr, q.Asked.Name, typeName(q.Asked.Type), rcodeName(msg.Rcode))
	for _, section := range []struct {
		name string
		rrs  []wire.RR
	}{{"answer", msg.Answer}, {"authority", msg.Authority}, {"additional", msg.Additional}} {
		for i := range section.rrs {
			if i == 0 {
				b.WriteString("\n;; " + section.name)
			}
			b.WriteString("\n" + recordText(section.rrs[i]))
		}
	}
	return b.String()
}

// recordText is a record as a zone file has it.
func recordText(rr wire.RR) string {
	buf := append([]byte(nil), rr.Owner...)
	buf = binary.BigEndian.AppendUint16(buf, rr.Type)
	buf = binary.BigEndian.AppendUint16(buf, rr.Class)
	buf = binary.BigEndian.AppendUint32(buf, rr.TTL)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(rr.RData)))
	parsed, _, err := dns.UnpackRR(append(buf, rr.RData...), 0)
	if err != nil {
		return fmt.Sprintf("%s\t%d\tTYPE%d\t\\# %d %x", rr.Owner, rr.TTL, rr.Type, len(rr.RData), rr.RData)
	}
	return parsed.String()
}
