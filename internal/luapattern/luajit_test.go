package luapattern

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os/exec"
	"strings"
	"testing"
)

// A question is one call of a string function, put to us and to LuaJIT.
type question struct {
	op, subject, pattern, replacement string
	init                              int
}

func (q question) String() string {
	return fmt.Sprintf("string.%s(%q, %q, %q, %d)", q.op, q.subject, q.pattern, q.replacement, q.init)
}

// answer is our result in the form in which oracle prints it.
func (q question) answer() string {
	out, err := q.run()
	if err != nil {
		return "error " + err.Error()
	}
	return strings.Join(out, "\x01")
}

func (q question) run() ([]string, error) {
	init := q.init - 1
	switch {
	case q.init < 0:
		init = max(0, q.init+len(q.subject))
	case q.init == 0:
		init = 0
	}
	init = min(init, len(q.subject))
	switch q.op {
	case "find", "match":
		return findAnswer(q, init)
	case "gmatch":
		return gmatchAnswer(q)
	}
	out, n, err := Replace(q.subject, q.pattern, -1, func(f *Match) (string, bool, error) {
		text, err := f.Expand(q.replacement)
		return text, true, err
	})
	return []string{out, fmt.Sprint(n)}, err
}

func findAnswer(q question, init int) ([]string, error) {
	if q.op == "find" && IsPlain(q.pattern) {
		at := strings.Index(q.subject[init:], q.pattern)
		if at < 0 {
			return []string{"nil"}, nil
		}
		return []string{fmt.Sprint(init + at + 1), fmt.Sprint(init + at + len(q.pattern))}, nil
	}
	f, err := Find(q.subject, q.pattern, init)
	if err != nil || f == nil {
		return []string{"nil"}, err
	}
	if q.op == "match" {
		return texts(f.Values())
	}
	caps, err := texts(f.Captures())
	return append([]string{fmt.Sprint(f.Start + 1), fmt.Sprint(f.End)}, caps...), err
}

func gmatchAnswer(q question) (out []string, err error) {
	it := NewIterator(q.subject, q.pattern)
	for {
		f, err := it.Next()
		if err != nil || f == nil {
			return out, err
		}
		list, err := texts(f.Values())
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
}

func texts(values []Value, err error) (list []string, _ error) {
	for _, v := range values {
		list = append(list, v.String())
	}
	return list, err
}

// oracle answers questions, each a sequence of texts with a length of four
// octets in front, from its standard input.
const oracle = `
local function size()
	local b = io.read(4)
	if not b then os.exit(0) end
	local w, x, y, z = b:byte(1, 4)
	return ((w * 256 + x) * 256 + y) * 256 + z
end
local function text()
	local n = size()
	return n == 0 and '' or io.read(n)
end
while true do
	local op, s, p, r, init = text(), text(), text(), text(), tonumber(text())
	local out
	local res = {pcall(function()
		if op == 'gsub' then return string.gsub(s, p, r) end
		if op ~= 'gmatch' then return string[op](s, p, init) end
		local all = {}
		local function keep(...)
			for i = 1, select('#', ...) do all[#all + 1] = (select(i, ...)) end
			return ...
		end
		local it = string.gmatch(s, p)
		while keep(it()) do end
		return unpack(all)
	end)}
	if res[1] then
		for i = 2, #res do res[i] = tostring(res[i]) end
		out = table.concat(res, '\1', 2)
		if #res == 1 and op ~= 'gmatch' then out = 'nil' end
	else
		out = 'error ' .. tostring(res[2]):gsub('^%b[]:%d+: ', ''):gsub('^%(command line%):%d+: ', '')
	end
	local n = #out
	io.write(string.char(math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256), out)
end
`

// askLuaJIT returns LuaJIT's answers, in order.
func askLuaJIT(t *testing.T, questions []question) []string {
	t.Helper()
	path, err := exec.LookPath("luajit")
	if err != nil {
		t.Fatal("luajit is missing, with which patterns are compared: apt-get install luajit")
	}
	var in bytes.Buffer
	for _, q := range questions {
		for _, text := range []string{q.op, q.subject, q.pattern, q.replacement, fmt.Sprint(q.init)} {
			in.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
			in.WriteString(text)
		}
	}
	cmd := exec.Command(path, "-e", oracle)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("luajit: %v", err)
	}
	var answers []string
	for len(out) >= 4 {
		n := int(binary.BigEndian.Uint32(out))
		answers = append(answers, string(out[4:4+n]))
		out = out[4+n:]
	}
	if len(answers) != len(questions) {
		t.Fatalf("luajit answered %d of %d questions", len(answers), len(questions))
	}
	return answers
}

// compare puts questions to both sides.
func compare(t *testing.T, questions []question) {
	t.Helper()
	wrong := 0
	for i, want := range askLuaJIT(t, questions) {
		if got := questions[i].answer(); got != want {
			t.Errorf("%v\n got %q\nwant %q", questions[i], got, want)
			if wrong++; wrong == 20 {
				t.Fatal("and more")
			}
		}
	}
}

var (
	patternParts = []string{
		"a", "b", ".", "%a", "%d", "%s", "%w", "%W", "%p", "%x", "%z", "%g", "%l", "%u", "%c", "%%", "%.", "-", "*", "+", "?",
		"[ab]", "[^a]", "[a-c]", "[%d_]", "[]]", "[^]]", "[a-]", "[%]]", "[", "]", "(", ")", "()", "(a)", "(.-)", "(a*)",
		"%1", "%2", "%b()", "%bab", "%b", "%f[a]", "%f[%w]", "%f[^a]", "%f", "^", "$", "%", "\x00", "1", "0", " ", "\xff",
	}
	subjectParts = []string{"a", "b", "ab", "(", ")", "c", "1", "0", " ", "-", "%", "]", "\x00", "\xff", "_", "\n", "A"}
	replaceParts = []string{"x", "\x00", "%\x00", "%0", "%1", "%2", "%%", "%", "%a", "$"}
)

func random(r *rand.Rand, parts []string, most int) string {
	var b strings.Builder
	for range r.Intn(most + 1) {
		b.WriteString(parts[r.Intn(len(parts))])
	}
	return b.String()
}

func randomQuestion(r *rand.Rand) question {
	ops := []string{"find", "match", "gmatch", "gsub"}
	return question{ops[r.Intn(len(ops))], random(r, subjectParts, 12), random(r, patternParts, 6), random(r, replaceParts, 3), r.Intn(9) - 3}
}

func TestRandomPatternsMatchAsInLuaJIT(t *testing.T) {
	r := rand.New(rand.NewSource(5))
	questions := make([]question, 60_000)
	for i := range questions {
		questions[i] = randomQuestion(r)
	}
	compare(t, questions)
}

func TestEveryOctetInEveryClassAsInLuaJIT(t *testing.T) {
	var questions []question
	for c := range 256 {
		for class := range 256 {
			questions = append(questions, question{"find", string([]byte{byte(c)}), "^%" + string([]byte{byte(class)}) + "$", "", 1})
		}
	}
	for _, set := range []string{"[%a]", "[^%s]", "[a-f]", "[%a-z]", "[a-%%]", "[]-a]", "[^^]", "[%-]", "[--/]", "[z-a]"} {
		for c := range 256 {
			questions = append(questions, question{"find", string([]byte{byte(c)}), set, "", 1})
		}
	}
	compare(t, questions)
}
