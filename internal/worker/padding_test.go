package worker

import (
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/settings"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// padded asks by a kind of transport on both ways and for SERVFAIL, and tells the
// lengths of the answers: of an entry of the cache, of what is resolved, of a
// refusal, of what a module and what this daemon says, and of SERVFAIL.
func padded(t *testing.T, l *lawful, kind transport.Kind, edns uint16) []int {
	t.Helper()
	from := someone
	from.Kind = kind
	sh := shape{edns: edns, rd: true}
	resolved := byDriver(t, l.Worker, sh.message("www.example.com.", dns.TypeA), from)
	flush(t, l.Worker)
	lengths := []int{len(resolved), len(l.newHandler().Fail(sh.message("www.example.com.", dns.TypeA), &from, make([]byte, 512)))}
	version := sh.message("version.bind.", dns.TypeTXT)
	version[len("\x07version\x04bind\x00")+12+3] = byte(wire.ClassCH)
	for _, pkt := range [][]byte{
		sh.message("www.example.com.", dns.TypeA), sh.message("www.example.com.", dns.TypeAXFR),
		sh.message("message.example.", dns.TypeA), version,
	} {
		l.s.(*session).formerr = 0 // refusals of this second
		msg, handling := byCache(t, l.s, pkt, from)
		if handling != listen.Reply {
			t.Fatalf("%v: %x is not answered on the listener's thread", kind, pkt)
		}
		lengths = append(lengths, len(msg))
	}
	return lengths
}

// What goes by an encrypted transport to a client with EDNS is padded, whoever
// words it; nothing else is.
func TestEveryEncryptedAnswerIsPadded(t *testing.T) {
	l := newLawful(t)
	l.configure(decisions)
	for _, block := range []int32{settings.PaddingScheme, 0, 2, 128, 4096} {
		l.settings.Padding.Store(block)
		bare := padded(t, l, transport.TCP, 1232)
		for kind := range transport.Kinds {
			multiple := int(l.settings.PaddingBlock())
			for i, n := range padded(t, l, kind, 1232) {
				switch {
				case multiple > 1 && kind.Encrypted():
					if n%multiple != 0 {
						t.Errorf("blocks of %d, %v: answer %d has %d octets", multiple, kind, i, n)
					}
				case n != bare[i]:
					t.Errorf("blocks of %d, %v: answer %d has %d octets, want %d as by TCP", multiple, kind, i, n, bare[i])
				}
			}
			for i, n := range padded(t, l, kind, 0) {
				if n > bare[i]-wire.OPTLen {
					t.Errorf("blocks of %d, %v: answer %d without EDNS has %d octets", multiple, kind, i, n)
				}
			}
		}
	}
}
