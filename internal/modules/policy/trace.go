package policy

import (
	"fmt"
	"strings"

	"kresd/internal/explain"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/rules"
)

// A transcript is the steps of one request, which the DEBUG actions collect, and who
// decides at its end whether they are written to the log.
type transcript struct {
	text strings.Builder
	want []func(*resolve.Request) bool // any of them: it is printed at the end
	dump bool                          // print messages from servers
}

type transcriptKey struct{}

func transcriptOf(req *resolve.Request) *transcript {
	s, _ := req.Vars[transcriptKey{}].(*transcript)
	return s
}

func newTranscript(req *resolve.Request) *transcript {
	if s := transcriptOf(req); s != nil {
		return s
	}
	if req.Vars == nil {
		req.Vars = map[any]any{}
	}
	s := &transcript{}
	req.Vars[transcriptKey{}] = s
	return s
}

// follow writes the transcript of a request from its steps, which go to where they
// went before, too.
func (s *transcript) follow(req *resolve.Request) {
	before := req.Tell
	req.Tell = func(q *resolve.Query, step resolve.Step) {
		if before != nil {
			before(q, step)
		}
		if l := explain.Words(step); l.Text != "" {
			s.step(req, q, l.Component, l.Mark+l.Text)
		}
	}
}

func (s *transcript) step(req *resolve.Request, q *resolve.Query, component, text string) {
	id, depth := uint32(0), 0
	if q != nil {
		id = q.ID
		for p := q.Parent; p != nil; p = p.Parent {
			depth++
		}
	}
	line := fmt.Sprintf("[%05d.%02d][%-4s] %s%s\n", req.ID, id, component, strings.Repeat("  ", depth+1), text)
	if s.text.Len()+len(line) <= limits.RequestTrace {
		s.text.WriteString(line)
	}
}

// Debug collects the steps of a request and writes them to the log at its end if
// want says so.
func Debug(name string, want func(*resolve.Request) bool) *rules.Action {
	return rules.Run(name, nil, func(h *rules.Hit) rules.Decision {
		s := newTranscript(h.Req)
		if s.want == nil {
			h.Req.Alone = true // what others do for it would not be told
			s.follow(h.Req)
		}
		s.want = append(s.want, want)
		return rules.GoOn
	})
}

// Always writes every request's steps to the log.
func Always(*resolve.Request) bool { return true }

// CacheMiss tells whether a request needed the network.
func CacheMiss(req *resolve.Request) bool {
	root := req.Root()
	return root != nil && !root.Outcome.Cached
}

// QueryTrace writes the answers of other servers to the log.
func QueryTrace() *rules.Action {
	return rules.Run("QTRACE", nil, func(h *rules.Hit) rules.Decision {
		newTranscript(h.Req).dump = true
		return rules.GoOn
	})
}

// RequestTrace writes the client's question to the log, with its address if
// origin is set.
func (p *Policy) RequestTrace(name string, origin bool) *rules.Action {
	return rules.Run(name, nil, func(h *rules.Hit) rules.Decision {
		p.Log(describe(h.Req, origin))
		return rules.GoOn
	})
}

// finish writes the transcript of a request to the log if somebody wants to read it.
func (p *Policy) finish(req *resolve.Request) {
	s := transcriptOf(req)
	if s == nil {
		return
	}
	for _, want := range s.want {
		if want(req) {
			p.Log(describe(req, false) + "\n" + s.text.String() + outcomeText(req))
			return
		}
	}
}
