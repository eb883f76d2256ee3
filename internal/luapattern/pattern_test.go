package luapattern

import (
	"errors"
	"strings"
	"testing"
)

func TestHostilePatternsEndAsTooComplex(t *testing.T) {
	long := strings.Repeat("a", 3000)
	for _, c := range []struct{ name, subject, pattern string }{
		{"nested backtracking", long, strings.Repeat(".-", 20) + "b"},
		{"stars", long, strings.Repeat("a*", 30) + "b"},
		{"deep recursion", long, strings.Repeat("a?", 100_000)},
		{"large set", long, strings.Repeat("[^"+strings.Repeat("bc", 500)+"]*", 10) + "b"},
		{"back references", strings.Repeat("a", 20_000), "^(a*)(a*)%1%2b"},
	} {
		if _, err := Find(c.subject, c.pattern, 0); !errors.Is(err, errComplex) {
			t.Errorf("%s: error %v, want %v", c.name, err, errComplex)
		}
	}
}

func TestLongSubjectsAreNotTooComplex(t *testing.T) {
	subject := strings.Repeat("word, ", 300_000)
	out, n, err := Replace(subject, "(%w+),%s", -1, func(f *Match) (string, bool, error) {
		text, err := f.Expand("%1;")
		return text, true, err
	})
	if err != nil || n != 300_000 || out != strings.Repeat("word;", 300_000) {
		t.Errorf("%d replacements in %d octets, error %v", n, len(out), err)
	}
	if f, err := Find(subject+"!", "!$", 0); err != nil || f == nil || f.Start != len(subject) {
		t.Errorf("find at the end: %v, %v", f, err)
	}
}

func TestReplaceLimit(t *testing.T) {
	grow := func(*Match) (string, bool, error) { return strings.Repeat("x", 1<<20), true, nil }
	if _, _, err := Replace(strings.Repeat("a", 100), "a", -1, grow); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a result of 100 MiB: error %v", err)
	}
	keep := func(*Match) (string, bool, error) { return "", false, nil }
	if out, n, err := Replace("abcabc", "b", 1, keep); out != "abcabc" || n != 1 || err != nil {
		t.Errorf("kept match: %q %d %v", out, n, err)
	}
	if out, n, err := Replace("abc", "", 0, keep); out != "abc" || n != 0 || err != nil {
		t.Errorf("no replacement: %q %d %v", out, n, err)
	}
}

func TestIsPlain(t *testing.T) {
	for p, want := range map[string]bool{"abc": true, "": true, "a]b)": true, "a.b": false, "a-": false, "%": false} {
		if got := IsPlain(p); got != want {
			t.Errorf("IsPlain(%q) = %v", p, got)
		}
	}
}

// FuzzFind looks for panics and work without bound; agreement with LuaJIT is
// TestRandomPatternsMatchAsInLuaJIT.
func FuzzFind(f *testing.F) {
	f.Add("key=value", "(%w+)=(%w+)", "%2=%1")
	f.Add("a(b)c", "%b()%f[%w]()", "%1%")
	f.Add("aa", "(a)%1[^%]-z]$", "")
	f.Fuzz(func(t *testing.T, s, p, r string) {
		if m, err := Find(s, p, 0); m != nil && err == nil {
			if m.Start < 0 || m.End < m.Start || m.End > len(s) {
				t.Fatalf("match [%d, %d) in %q", m.Start, m.End, s)
			}
			_, _ = m.Values()
		}
		_, n, err := Replace(s, p, -1, func(m *Match) (string, bool, error) {
			text, err := m.Expand(r)
			return text, true, err
		})
		if err == nil && n > len(s)+1 {
			t.Fatalf("%d matches in %q", n, s)
		}
	})
}
