package worker

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"kresd/internal/ede"
	"kresd/internal/explain"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// follow has what a request does written to the log, when that is wanted. done
// is to be called when the request has its result.
func (r *requests) follow(req *resolve.Request) (done func()) {
	if !r.log.DebugOn() {
		return func() {}
	}
	s := newStory(r.clock.Mono)
	s.log = r.storyLog(req)
	s.begin(req)
	return func() { s.over(req) }
}

// storyLog writes the steps of a request to the log, in the columns that readers of
// kresd know: request and query, component, what happened; how far that is indented
// shows what it belongs to.
func (r *requests) storyLog(req *resolve.Request) func(*resolve.Query, string, int, *step) {
	return func(q *resolve.Query, component string, level int, l *step) {
		id := uint32(0)
		if q != nil {
			id = q.ID
		}
		took := ""
		if t := l.time(); t != "" {
			took = "   " + t
		}
		r.log.Group(fmt.Sprintf("%05d.%02d", req.ID, id)).Debug(fmt.Sprintf("[%-4.4s] %s%s%s", component, strings.Repeat("  ", level), l.text, took))
	}
}

// resolver resolves what scripts ask.
type resolver struct {
	*requests
	ctx context.Context // ends with the worker
}

// Resolve resolves a request of a script, which must not be used elsewhere
// meanwhile.
func (r resolver) Resolve(req *resolve.Request) {
	r.enter(req)
	r.resolve(r.ctx, req)
}

// Trace resolves a question as that of a client on this machine that came by TCP,
// and tells how, as a tree with a line for each step. Nobody shares its resolution,
// so that all of it is there to be told.
func (r resolver) Trace(ctx context.Context, q resolve.Question) string {
	req := &resolve.Request{
		Question: q, Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), Transport: transport.Transport{Kind: transport.TCP},
		RD: true, Alone: true,
	}
	r.enter(req)
	s := newStory(r.clock.Mono)
	s.keep = true
	if r.log.DebugOn() {
		s.log = r.storyLog(req)
	}
	s.begin(req)
	r.driver.Resolve(ctx, req)
	return s.over(req)
}

// A story is what a request did, as a tree: its queries below each other, the
// steps of each below it, and what belongs to one question to a server below
// that. It is told to the log as it happens, or kept for the end, or both.
type story struct {
	mono  func() time.Duration
	began time.Duration
	last  time.Duration
	log   func(q *resolve.Query, component string, level int, l *step) // may be nil
	keep  bool
	size  int // octets of all texts that are kept
	root  *step
	parts map[*resolve.Query]*part
}

// step is a line with those below it. took is since the step before.
type step struct {
	who   string // the component that did it, where the line does not show that
	text  string
	took  time.Duration
	below []*step
}

// part is what is told of one query.
type part struct {
	head  *step
	level int // how deep its steps lie
	// asking is the question to a server that steps belong to; answered tells that
	// its answer was told, so that what it means is the last of them.
	asking   *step
	answered bool
}

func newStory(mono func() time.Duration) *story {
	now := mono()
	return &story{mono: mono, began: now, last: now, root: &step{}, parts: map[*resolve.Query]*part{}}
}

// begin reads along from now on.
func (s *story) begin(req *resolve.Request) {
	req.Tell = s.tell
	s.tellLog("plan", 0, req.Question.String()+askedBy(req))
}

func askedBy(req *resolve.Request) string {
	switch {
	case !req.Client.IsValid():
		return ", asked by the resolver itself"
	case req.Client.Port() == 0:
		return ", traced"
	}
	return fmt.Sprintf(", asked by %s#%d by %v", req.Client.Addr(), req.Client.Port(), req.Transport.Kind)
}

// tell takes in a step; it is a Request's Tell.
func (s *story) tell(q *resolve.Query, st resolve.Step) {
	words := explain.Words(st)
	if words.Text == "" {
		return
	}
	now := s.mono()
	line := &step{text: words.Text, took: now - s.last}
	s.last = now
	p := s.part(q)
	if _, begins := st.(resolve.Asking); begins {
		line.text = "asked " + line.text
		p.asking, p.answered = line, false
		s.put(q, p.head, line, words.Component, p.level)
		return
	}
	if p.asking == nil {
		line.who = words.Component + ": "
		s.put(q, p.head, line, words.Component, p.level)
		return
	}
	s.put(q, p.asking, line, words.Component, p.level+1)
	switch st.(type) {
	case resolve.Silent:
		p.asking = nil
	case resolve.Replied:
		p.answered = true
	default:
		if p.answered { // this is what the answer means
			p.asking = nil
		}
	}
}

// put adds a line below another one.
func (s *story) put(q *resolve.Query, above, line *step, component string, level int) {
	if s.log != nil {
		s.log(q, component, level, line)
	}
	if !s.keep || s.size > limits.RequestTrace {
		return
	}
	above.below = append(above.below, line)
	if s.size += len(line.text); s.size > limits.RequestTrace {
		above.below = append(above.below, &step{text: "and so on: the rest is not told"})
	}
}

func (s *story) tellLog(component string, level int, text string) {
	if s.log != nil {
		s.log(nil, component, level, &step{text: text})
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
	p := &part{head: s.root, level: 1}
	if q != nil {
		p.head = &step{text: q.Question.String()}
		above := s.part(q.Parent)
		above.asking = nil
		p.level = above.level + 1
		s.put(q, above.head, p.head, "plan", above.level)
	}
	s.parts[q] = p
	return p
}

// over tells what a request came to, and writes the tree if it was kept.
func (s *story) over(req *resolve.Request) string {
	sent, questions := req.Budget.Sent(), "questions"
	if sent == 1 {
		questions = "question"
	}
	verdict := fmt.Sprintf("%s %s, %d %s to servers", verdict(&req.Result), millis(s.mono()-s.began), sent, questions)
	for _, text := range results(&req.Result) {
		s.tellLog("resl", 1, text)
		s.root.below = append(s.root.below, &step{text: text})
	}
	s.tellLog("resl", 0, "done: "+verdict)
	if !s.keep {
		return ""
	}
	var b strings.Builder
	b.WriteString(columns(req.Question.String(), verdict))
	s.root.write(&b, "")
	return strings.TrimSuffix(b.String(), "\n")
}

// verdict is the shortest account of a result.
func verdict(res *resolve.Result) string {
	switch {
	case res.Drop:
		return "no answer"
	case res.Stale:
		return wire.RcodeText(res.Rcode) + " stale"
	case res.Rcode != wire.RcodeNoError && res.Rcode != wire.RcodeNXDomain || res.Rank == rank.Initial:
		return wire.RcodeText(res.Rcode)
	}
	return wire.RcodeText(res.Rcode) + " " + security(res.Rank)
}

// results are the lines that say what the client is told.
func results(res *resolve.Result) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf("result: "+format, args...)) }
	for i := range res.Answer {
		set := &res.Answer[i]
		say("%s %s, %d with TTL %d", set.Owner, wire.TypeText(set.Type), len(set.Data), set.TTL)
	}
	switch {
	case res.Drop:
		say("the client hears nothing")
	case res.TC:
		say("truncated, so that the client comes by TCP")
	case len(res.Answer) == 0 && res.Rcode == wire.RcodeNoError:
		say("the name has no such records")
	case len(res.Answer) == 0:
		say("%s", wire.RcodeText(res.Rcode))
	}
	if res.EDE != ede.None {
		out = append(out, ede.Text(res.EDE, res.EDEText))
	}
	return out
}

// write writes what is below a step.
func (t *step) write(b *strings.Builder, indent string) {
	for i, l := range t.below {
		edge, deeper := "|- ", "|  "
		if i == len(t.below)-1 {
			edge, deeper = "`- ", "   "
		}
		b.WriteString(columns(indent+edge+l.who+l.text, l.time()))
		l.write(b, indent+deeper)
	}
}

// time is how long a step took, where that is worth a word.
func (t *step) time() string {
	if t.took < 10*time.Microsecond {
		return ""
	}
	return millis(t.took)
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
