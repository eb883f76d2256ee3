package daf

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"kresd/internal/dnsname"
	"kresd/internal/rules"
)

// words are what is still to be read of a rule.
type words struct{ left string }

// next is the next word, "" behind the last.
func (w *words) next() string {
	word := w.peek()
	w.left = strings.TrimSpace(w.left)[len(word):]
	return word
}

// peek is the next word, which stays.
func (w *words) peek() string {
	left := strings.TrimSpace(w.left)
	if end := strings.IndexFunc(left, unicode.IsSpace); end >= 0 {
		return left[:end]
	}
	return left
}

// rest is all that is left, as it was written, on one line: blanks count between quotes.
func (w *words) rest() string {
	rest := strings.Join(strings.FieldsFunc(strings.TrimSpace(w.left), func(c rune) bool { return c == '\n' || c == '\r' }), " ")
	w.left = ""
	return rest
}

// parse reads a rule: FILTER [and|or FILTER]… ACTION, where "and" binds closer than "or" and
// the filters may be missing. post tells that it is for answers.
func (d *DAF) parse(text string) (r *rules.Rule, post bool, err error) {
	w := &words{text}
	f, err := filterOf(w)
	if err != nil {
		return nil, false, err
	}
	a, post, err := d.action(w)
	if err != nil {
		return nil, false, err
	}
	if more := w.rest(); more != "" {
		return nil, false, fmt.Errorf("'%s' stands behind the action", more)
	}
	return &rules.Rule{Filter: f, Action: a, Words: "daf.add " + rules.Quoted(normal(text))}, post, nil
}

// normal is the text with one blank between words, but as it was written behind "answer",
// where blanks may count.
func normal(text string) string {
	w := &words{text}
	var list []string
	for w.peek() != "" {
		word := w.next()
		if list = append(list, word); strings.EqualFold(word, "answer") && w.peek() != "" {
			list = append(list, w.rest())
		}
	}
	return strings.Join(list, " ")
}

// A term is one filter: a name at or below which names are meant, or another condition.
type term struct {
	zone      dnsname.Name
	condition rules.Condition
}

func (t *term) asCondition() rules.Condition {
	if t.condition == nil {
		return rules.Under(t.zone)
	}
	return t.condition
}

// filterOf reads the filters.
func filterOf(w *words) (f rules.Filter, err error) {
	if !isFilter(w.peek()) {
		return rules.All(), nil
	}
	var either [][]term
	for {
		every, err := everyOf(w)
		if err != nil {
			return f, err
		}
		either = append(either, every)
		if !strings.EqualFold(w.peek(), "or") {
			return joined(either), nil
		}
		w.next()
	}
}

// everyOf reads filters between which stands "and".
func everyOf(w *words) (list []term, err error) {
	for {
		t, err := termOf(w)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
		if !strings.EqualFold(w.peek(), "and") {
			return list, nil
		}
		w.next()
	}
}

// joined is the filter for what one of the lists demands. Names that are demanded in any case
// are left to the index.
func joined(either [][]term) rules.Filter {
	if len(either) == 1 {
		f, rest := rules.All(), []rules.Condition(nil)
		named := false
		for i := range either[0] {
			t := &either[0][i]
			if t.condition == nil && !named {
				f, named = rules.Suffix([]dnsname.Name{t.zone}, ""), true
				continue
			}
			rest = append(rest, t.asCondition())
		}
		if len(rest) == 0 {
			return f
		}
		return f.If(rest...)
	}
	var names []dnsname.Name
	var list []rules.Condition
	for _, every := range either {
		if len(every) == 1 && every[0].condition == nil {
			names = append(names, every[0].zone)
		}
		var all []rules.Condition
		for i := range every {
			all = append(all, every[i].asCondition())
		}
		list = append(list, rules.Every(all...))
	}
	if len(names) == len(either) {
		return rules.Suffix(names, "")
	}
	return rules.All().If(rules.Either(list...))
}

func isFilter(word string) bool {
	switch strings.ToLower(word) {
	case "qname", "src", "dst":
		return true
	}
	return false
}

// termOf reads one filter.
func termOf(w *words) (t term, err error) {
	what := strings.ToLower(w.next())
	if !isFilter(what) {
		return t, fmt.Errorf("'%s' stands where a filter is expected: qname, src or dst", what)
	}
	op, value := w.next(), w.next()
	if op != "=" && (op != "~" || what != "qname") {
		expected := "'='"
		if what == "qname" {
			expected = "'=' or '~'"
		}
		return t, fmt.Errorf("'%s' stands behind %s, where %s is expected", op, what, expected)
	}
	switch {
	case value == "":
		return t, fmt.Errorf("nothing stands behind %s %s", what, op)
	case op == "~":
		pattern, err := patternOf(value)
		if err == nil {
			t.condition, err = rules.Like(pattern)
		}
		return t, err
	case what == "qname":
		t.zone, err = dnsname.Parse(value)
		if err != nil {
			return t, fmt.Errorf("'%s' is no name: %w", value, err)
		}
		return t, nil
	}
	of, err := rules.ParseSubnet(value)
	if err != nil {
		return t, err
	}
	t.condition = rules.Source(of)
	if what == "dst" {
		t.condition = rules.Destination(of)
	}
	return t, nil
}

// patternOf is a pattern for names in wire form. In text a dot stands between labels; the
// pattern is for the end of a name, and its first label may begin anywhere.
func patternOf(text string) (string, error) {
	var b strings.Builder
	for i, label := range strings.Split(strings.TrimSuffix(text, "."), ".") {
		literal := strings.IndexFunc(label, magic) < 0
		switch {
		case label == "":
			return "", errors.New("a pattern has an empty label")
		case i == 0:
		case literal && len(label) <= dnsname.MaxLabel:
			quote(&b, byte(len(label)))
		default:
			b.WriteByte('.') // how long it is follows from the pattern
		}
		for k := range len(label) {
			if c := label[k]; literal {
				quote(&b, c)
			} else {
				b.WriteByte(c)
			}
		}
	}
	return strings.ToLower(b.String()) + "%z$", nil
}

// magic tells whether a character makes a label more than its letters. A hyphen between
// letters is one of them.
func magic(r rune) bool { return strings.ContainsRune("^$()%[]*+?", r) }

// quote writes an octet that stands for itself.
func quote(b *strings.Builder, c byte) {
	if strings.IndexByte("^$()%.[]*+-?", c) >= 0 {
		b.WriteByte('%')
	}
	b.WriteByte(c)
}
