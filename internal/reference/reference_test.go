package reference

import (
	"strings"
	"testing"
)

func TestLacks(t *testing.T) {
	whole := Entry{Name: "f", Summary: "does it", Params: []string{"a: what", "b: how"}, Returns: "nothing", Example: "f(1)"}
	for _, c := range []struct {
		usage, want string
		spoil       func(*Entry)
	}{
		{"f(a[, b])", "", func(*Entry) {}},
		{"f(a[, b])", "a summary", func(e *Entry) { e.Summary = "" }},
		{"f(a[, b])", "a summary", func(e *Entry) { e.Summary = "two\nlines" }},
		{"f(a[, b])", "Returns", func(e *Entry) { e.Returns = "" }},
		{"f(a[, b])", "an example", func(e *Entry) { e.Example = "" }},
		{"f(a[, b])", "Params", func(e *Entry) { e.Params = nil }},
		{"f(a[, b])", "the form", func(e *Entry) { e.Params[1] = "b" }},
		{"f(a)", "a parameter b in f(a)", func(*Entry) {}},
		{"f()", "no words about parameters", func(*Entry) {}},
		{"f", "it is no function", func(*Entry) {}},
		{"f", "", func(e *Entry) { *e = Entry{Name: "f", Summary: "a field"} }},
	} {
		e := whole
		e.Params = append([]string(nil), whole.Params...)
		c.spoil(&e)
		if got := e.Lacks(c.usage); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s with %+v lacks %q, want %q", c.usage, e, got, c.want)
		}
	}
}

func TestANameStandsOnce(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two entries of one name are a book")
		}
	}()
	New(Chapter{Entries: []Entry{{Name: "a"}}}, Chapter{Entries: []Entry{{Name: "a"}}})
}

// Text that means something to the formats stays what it is.
func TestDocuments(t *testing.T) {
	b := New(Chapter{Title: "T", Intro: "First. Second.", Entries: []Entry{
		{Name: "f", Summary: ".begins *so*", Params: []string{"'a': \"quoted\" \\n", "b: g()"}, Returns: "x_y", Example: `f('\0', "q")`},
		{Name: "field", Summary: "long enough " + strings.Repeat("words ", 20) + "… .dot"},
	}})
	usage := func(name string) string { return map[string]string{"f": "f('a'[, b])", "field": "field"}[name] }
	long := strings.TrimSpace(strings.Repeat("words ", 20))
	want := "### T\n\nFirst. Second.\n\n- `f('a'[, b])`: .begins \\*so\\*. `'a'`: \"quoted\" \\n; `b`: g(). Gives x\\_y\n  `f('\\0', \"q\")`\n" +
		"- `field`: long enough " + long + " … .dot\n\n"
	if got := b.Markdown(usage); got != want {
		t.Errorf("Markdown:\n%q, want\n%q", got, want)
	}
	page := b.Mdoc(usage)
	_, rest, begun := strings.Cut(page, pageBegin)
	got, _, ended := strings.Cut(rest, pageEnd)
	want = `.Ss T
First.
Second.
.Bl -tag -width Ds
.It Ic "f('a'[, b])"
\&.begins *so*.
.Bl -tag -width Ds -compact
.It Ar "'a'"
"quoted" \en
.It Ar "b"
g(\&)
.El
Gives x_y.
.Dl "f('\e0', ""q"")"
.It Ic "field"
Long enough words words words words words words words words words words words
words words words words words words words words words ... .dot.
.El
`
	if got != want || !begun || !ended {
		t.Errorf("the page has\n%s\nwant\n%s", got, want)
	}
}
