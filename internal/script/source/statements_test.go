package source

import (
	"strings"
	"testing"
)

// In each text the statement at line n is the one between the marks.
func TestTheInnermostStatementAtALine(t *testing.T) {
	for _, c := range []struct {
		line  int
		text  string
		names string
	}{
		{1, "«cache.size = 5»\nprint(1)", ""},
		{2, "print(1)\n«x = 5 + f(2)»\ny = 1", "x"},
		{2, "local a\n«local b, c = 1,\n  2»\nd = 3", "b c"},
		{3, "local a\n«local b = 1\n+ 2» print(b)", "b"},
		{2, "if a then\n«f()»\nend", ""},
		{1, "«if a.b then\nf()\nelseif c then g()\nelse h() end»\nreturn", ""},
		{3, "while x do\n  for k, v in pairs(t) do\n    «net.listen(v)»\n  end\nend", ""},
		{2, "«modules = {\n  'hints',\n  policy = { f = function() return 1 end }\n}»", "modules"},
		{3, "event.after(1, function(e)\n  g()\n  «h(e)»\nend)", ""},
		{2, "local function f(a, b)\n  «return a .. b»\nend", ""},
		{1, "«local function f(a, b)\n  return a .. b\nend»", "f"},
		{1, "function a.b:c() «return» end\nx()", ""},
		{2, "repeat\n«f 'x'»\nuntil f { 1 }\ng()", ""},
		{2, "«a = b\n(f or g)()»", "a"}, // as Lua reads it
		{1, "«a = f\n'text'»\nb = 1", "a"},
		{2, "«a = [[\n]]» b = 1", "a"},
		{1, "do «local x = 1» end", "x"},
		{4, "f(\n)\n-- comment\n«g()» -- after", ""},
		{1, "«cache.size = = 5»\nf()", ""},
		{1, "«return 1»", ""},
	} {
		text := strings.NewReplacer("«", "", "»", "").Replace(c.text)
		s, ok := StatementAt(text, c.line)
		from := strings.Index(c.text, "«")
		want := c.text[from+len("«") : strings.Index(c.text, "»")]
		if !ok || text[s.From:s.To] != want {
			t.Errorf("line %d of\n%s\ngot %q, %t\nwant %q", c.line, text, text[s.From:s.To], ok, want)
		}
		if got := strings.Join(s.Names, " "); got != c.names {
			t.Errorf("%s assigns to %q, want %q", want, got, c.names)
		}
	}
}

// What was left out leaves everything else at its place, and its variables declared.
func TestATextWithoutAStatement(t *testing.T) {
	for _, c := range []struct {
		text string
		line int
		want string
	}{
		{"a = 1\nb = {\n 2 }\nc = 3", 2, "a = 1\n     \n    \nc = 3"},
		{"local a, b = f(1)\nprint(a)", 1, "local a,b        \nprint(a)"},
		{"local a,b\nprint(a)", 1, "         \nprint(a)"},
		{"local function f() g(\n) end f()", 1, "local function f()   \n  end f()"},
	} {
		s, ok := StatementAt(c.text, c.line)
		if got := s.Without(c.text); !ok || got != c.want {
			t.Errorf("%q without line %d: %q, want %q", c.text, c.line, got, c.want)
		}
	}
	if _, ok := StatementAt("a = 1\n\n", 2); ok {
		t.Error("there is a statement in an empty line")
	}
}
