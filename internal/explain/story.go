package explain

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A Story is what a request did, as a tree: its queries below each other, the
// steps of each below it, and what belongs to one question to a server below
// that. It is told to the log as it happens, or kept for the end, or both.
type Story struct {
	// Log, where it is not nil, is told each line as it happens: what it belongs to
	// (nil for the request itself), the component, how far it is indented, and the text.
	Log func(q *resolve.Query, component string, level int, text string)
	// Keep keeps all for the tree that End returns.
	Keep bool

	mono  func() time.Duration
	began time.Duration
	last  time.Duration
	size  int // octets of all texts that are kept
	root  *node
	parts map[uint32]*part
}

// node is a line with those below it. took is since the step before.
type node struct {
	who   string // the component that did it, where the line does not show that
	text  string
	took  time.Duration
	below []*node
}

// part is what is told of one query.
type part struct {
	head  *node
	level int // how deep its steps lie
	// asking is the question to a server that steps belong to; answered tells that
	// its answer was told, so that what it means is the last of them.
	asking   *node
	answered bool
}

func NewStory(mono func() time.Duration) *Story {
	now := mono()
	return &Story{mono: mono, began: now, last: now, root: &node{}, parts: map[uint32]*part{}}
}

// Begin reads along from now on, beside whoever does already.
func (s *Story) Begin(req *resolve.Request) {
	if before := req.Tell; before == nil {
		req.Tell = s.tell
	} else {
		req.Tell = func(q *resolve.Query, step resolve.Step) {
			before(q, step)
			s.tell(q, step)
		}
	}
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
func (s *Story) tell(q *resolve.Query, step resolve.Step) {
	words := Words(step)
	if words.Text == "" {
		return
	}
	now := s.mono()
	line := &node{text: words.Text, took: now - s.last}
	s.last = now
	p := s.part(q)
	if _, begins := step.(resolve.Asking); begins {
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
	switch step.(type) {
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
func (s *Story) put(q *resolve.Query, above, line *node, component string, level int) {
	if s.Log != nil {
		s.Log(q, component, level, line.text+line.apart())
	}
	if !s.Keep || s.size > limits.RequestTrace {
		return
	}
	above.below = append(above.below, line)
	if s.size += len(line.text); s.size > limits.RequestTrace {
		above.below = append(above.below, &node{text: "and so on: the rest is not told"})
	}
}

func (s *Story) tellLog(component string, level int, text string) {
	if s.Log != nil {
		s.Log(nil, component, level, text)
	}
}

// part is where the steps of a query go. A query without parent is the request's
// own, and so is none at all.
func (s *Story) part(q *resolve.Query) *part {
	if q != nil && q.Parent == nil {
		q = nil
	}
	id := uint32(0)
	if q != nil {
		id = q.ID
	}
	if p := s.parts[id]; p != nil {
		return p
	}
	p := &part{head: s.root, level: 1}
	if q != nil {
		p.head = &node{text: q.Question.String()}
		above := s.part(q.Parent)
		above.asking = nil
		p.level = above.level + 1
		s.put(q, above.head, p.head, "plan", above.level)
	}
	s.parts[id] = p
	return p
}

// End tells what a request came to, and writes the tree if it was kept.
func (s *Story) End(req *resolve.Request) string {
	sent, questions := req.Budget.Sent(), "questions"
	if sent == 1 {
		questions = "question"
	}
	account := fmt.Sprintf("%s %s, %d %s to servers", account(&req.Result), millis(s.mono()-s.began), sent, questions)
	for _, text := range results(&req.Result) {
		s.tellLog("resl", 1, text)
		s.root.below = append(s.root.below, &node{text: text})
	}
	s.tellLog("resl", 0, "done: "+account)
	if !s.Keep {
		return ""
	}
	var b strings.Builder
	b.WriteString(columns(req.Question.String(), account))
	s.root.write(&b, "")
	return strings.TrimSuffix(b.String(), "\n")
}

// account is the shortest account of a result.
func account(res *resolve.Result) string {
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
func (t *node) write(b *strings.Builder, indent string) {
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
func (t *node) time() string {
	if t.took < 10*time.Microsecond {
		return ""
	}
	return millis(t.took)
}

// apart is the time of a step behind its text in a log.
func (t *node) apart() string {
	if text := t.time(); text != "" {
		return "   " + text
	}
	return ""
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
