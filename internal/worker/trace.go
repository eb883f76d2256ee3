package worker

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// trace writes the steps of one request to the log, in the four columns that
// readers of kresd know: request and query, component, depth, message.
func (w *Worker) trace(req *resolve.Request) func(*resolve.Query, string, string, ...any) {
	return func(q *resolve.Query, component, format string, args ...any) {
		id, depth := uint32(0), 0
		if q != nil {
			id = q.ID
			for p := q.Parent; p != nil; p = p.Parent {
				depth++
			}
		}
		line := fmt.Sprintf("[%-4s] %s%s", component, strings.Repeat("  ", depth+1), fmt.Sprintf(format, args...))
		w.log.Group(fmt.Sprintf("%05d.%02d", req.ID, id)).Debug(line)
	}
}

// resolver resolves what scripts ask.
type resolver struct{ w *Worker }

// Resolve resolves a request of a script, which must not be used elsewhere
// meanwhile.
func (r resolver) Resolve(req *resolve.Request) {
	req.Now, req.ID = r.w.clock.Unix(), r.w.ids.next()
	if r.w.log.DebugOn() {
		req.Tracef = r.w.trace(req)
	}
	r.w.driver.Resolve(r.w.ctx, req)
}

// Trace resolves a question anew and tells how, as a tree with a line for each
// step.
func (r resolver) Trace(ctx context.Context, q resolve.Question) string {
	w := r.w
	req := &resolve.Request{Question: q, RD: true, Now: w.clock.Unix(), ID: w.ids.next()}
	s := newStory(w.clock.Mono)
	req.Tracef = s.tell
	if w.log.DebugOn() {
		toLog := w.trace(req)
		req.Tracef = func(q *resolve.Query, component, format string, args ...any) {
			toLog(q, component, format, args...)
			s.tell(q, component, format, args...)
		}
	}
	w.driver.Resolve(ctx, req)
	return s.end(req)
}

// A story is what a request did, as a tree: its queries below each other, the
// steps of each below it, and what belongs to one question to a server below
// that.
type story struct {
	mono  func() time.Duration
	began time.Duration
	last  time.Duration
	sent  int // questions to servers
	size  int // octets of all texts
	root  *step
	parts map[*resolve.Query]*part
}

// step is a line with those below it. took is since the step before.
type step struct {
	text  string
	took  time.Duration
	below []*step
}

// part is what is told of one query.
type part struct {
	head *step
	// asking is the question to a server that steps belong to; answered tells that
	// its answer was told, so that what it means is the last of them.
	asking   *step
	answered bool
}

func newStory(mono func() time.Duration) *story {
	now := mono()
	return &story{mono: mono, began: now, last: now, root: &step{}, parts: map[*resolve.Query]*part{}}
}

// tell takes in a step; it is a Request's Tracef.
func (s *story) tell(q *resolve.Query, component, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	now := s.mono()
	line := &step{text: text, took: now - s.last}
	s.last = now
	p := s.part(q)
	switch {
	case s.size > limits.RequestTrace:
		return
	case strings.HasPrefix(text, "=> ") && component == "resl":
		s.sent++
		line.text = "asked " + strings.TrimPrefix(text, "=> ")
		p.asking, p.answered = line, false
		p.head.below = append(p.head.below, line)
	case p.asking != nil:
		line.text = strings.TrimPrefix(strings.Replace(text, "<= ", "got from ", 1), "=> ")
		p.asking.below = append(p.asking.below, line)
		if p.answered {
			p.asking = nil
		}
		p.answered = p.answered || strings.HasPrefix(text, "<= ")
	default:
		line.text = component + ": " + strings.TrimPrefix(text, "=> ")
		p.head.below = append(p.head.below, line)
	}
	if s.size += len(line.text); s.size > limits.RequestTrace {
		p.head.below = append(p.head.below, &step{text: "and so on: the rest is not told"})
	}
}

// part is where the steps of a query go. A query without parent is the request's
// own, and so is none at all.
func (s *story) part(q *resolve.Query) *part {
	if q != nil && q.Parent == nil {
		q = nil
	}
	if p := s.parts[q]; p != nil {
		return p
	}
	p := &part{head: s.root}
	if q != nil {
		p.head = &step{text: q.Question.String()}
		above := s.part(q.Parent)
		above.head.below = append(above.head.below, p.head)
		above.asking = nil
	}
	s.parts[q] = p
	return p
}

// end writes the tree of a request that is over.
func (s *story) end(req *resolve.Request) string {
	res := &req.Result
	s.part(nil).asking = nil
	for i := range res.Answer {
		set := &res.Answer[i]
		s.root.below = append(s.root.below, &step{text: fmt.Sprintf("result: %s %s, %d with TTL %d", set.Owner, wire.TypeText(set.Type), len(set.Data), set.TTL)})
	}
	if res.EDE != resolve.NoEDE {
		s.root.below = append(s.root.below, &step{text: fmt.Sprintf("extended error %d: %s", res.EDE, res.EDEText)})
	}
	verdict := wire.RcodeText(res.Rcode)
	if res.Drop {
		verdict = "no answer"
	}
	var b strings.Builder
	total := s.mono() - s.began
	questions := "questions"
	if s.sent == 1 {
		questions = "question"
	}
	head := fmt.Sprintf("%s %s %s, %d %s to servers", verdict, security(res.Rank), millis(total), s.sent, questions)
	b.WriteString(columns(req.Question.String(), head))
	s.root.write(&b, "")
	return strings.TrimSuffix(b.String(), "\n")
}

// write writes what is below a step.
func (t *step) write(b *strings.Builder, indent string) {
	for i, l := range t.below {
		edge, deeper := "|- ", "|  "
		if i == len(t.below)-1 {
			edge, deeper = "`- ", "   "
		}
		took := ""
		if l.took >= 10*time.Microsecond {
			took = millis(l.took)
		}
		b.WriteString(columns(indent+edge+l.text, took))
		l.write(b, indent+deeper)
	}
}

// columns writes a line with a second column, if there is something in it.
func columns(left, right string) string {
	const width = 86
	if right == "" {
		return left + "\n"
	}
	pad := max(width-utf8.RuneCountInString(left), 2)
	return left + strings.Repeat(" ", pad) + right + "\n"
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

func security(r rank.Rank) string {
	switch {
	case r.IsSecure():
		return "secure"
	case r&^rank.Auth == rank.Bogus:
		return "bogus"
	}
	return "insecure"
}
