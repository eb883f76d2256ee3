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
func TestMarkupInText(t *testing.T) {
	b := New(Chapter{Title: "T", Entries: []Entry{
		{Name: "f", Summary: ".begins *so*", Params: []string{"'a': \"quoted\" \\n"}, Returns: "x_y", Example: `f('\0', "q")`},
	}})
	usage := func(string) string { return "f('a')" }
	if got, want := b.Markdown(usage), "### T\n\n- `f('a')`: .begins \\*so\\*. `'a'`: \"quoted\" \\n. Gives x\\_y\n  `f('\\0', \"q\")`\n\n"; got != want {
		t.Errorf("Markdown:\n%q, want\n%q", got, want)
	}
	page := b.Mdoc(usage)
	for _, want := range []string{
		"\n.It Ic \"f('a')\"\n\\&.begins *so*.\n", "\n.It Ar \"'a'\"\n\"quoted\" \\en\n", "\nGives x_y.\n", "\n.Dl \"f('\\e0', \"\"q\"\")\"\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}
