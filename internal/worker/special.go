package worker

import (
	"bytes"
	"os"

	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/settings"
	"kresd/internal/version"
	"kresd/internal/wire"
)

// resolvable tells whether a question is one for the DNS: class IN, and a type
// that records can have, or ANY.
func resolvable(q *wire.Question) bool {
	return q.Class == wire.ClassIN && (!wire.IsMetaType(q.Type) || q.Type == wire.TypeANY)
}

// refusal is what a question that is not resolvable deserves.
func refusal(q *wire.Question) int {
	switch {
	case q.Class == wire.ClassCH:
		return wire.RcodeRefused
	case q.Class == wire.ClassIN && q.Type == wire.TypeNXNAME: // RFC 9824, section 3.6
		return wire.RcodeFormErr
	}
	return wire.RcodeNotImp
}

// about is what a question of class CH asks about this daemon (RFC 4892, section
// 2): its version or its host's name; ok is false for all other questions.
func about(q *wire.Question, s *settings.Settings) (text string, ok bool) {
	if q.Class != wire.ClassCH || q.Type != wire.TypeTXT && q.Type != wire.TypeANY {
		return "", false
	}
	for _, name := range [...]string{"\x07version\x04bind\x00", "\x07version\x06server\x00"} {
		if bytes.EqualFold(q.Name, []byte(name)) {
			return version.String(), true
		}
	}
	for _, name := range [...]string{"\x02id\x06server\x00", "\x08hostname\x04bind\x00"} {
		if bytes.EqualFold(q.Name, []byte(name)) {
			return hostname(s), true
		}
	}
	return "", false
}

// hostname is what hostname() says.
func hostname(s *settings.Settings) string {
	if name := s.Hostname.Load(); name != nil && *name != "" {
		return *name
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// say answers a question of class CH with one line of text.
func say(dst []byte, q *wire.Question, text string, s reply.Shape) []byte {
	text = text[:min(len(text), 255)]
	res := resolve.Result{EDE: ede.None, AA: true, Answer: []resolve.Set{{Rank: rank.Insecure, RRset: wire.RRset{
		Owner: wire.Target(q.Name), Type: wire.TypeTXT, Class: wire.ClassCH,
		Data: [][]byte{append([]byte{byte(len(text))}, text...)},
	}}}}
	return reply.Build(dst, q, &res, s)
}
