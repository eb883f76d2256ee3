package proctest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// A Unit is what unit files of systemd say: by "Section.Name" the values in their
// order.
type Unit map[string][]string

// ReadUnit reads a unit file and drop-ins behind it, as systemd does: what may be
// given several times is added to, and begins anew where nothing stands behind the
// sign of equality. instance is what %i stands for.
func ReadUnit(t testing.TB, instance string, paths ...string) Unit {
	t.Helper()
	u := Unit{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		section := ""
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			name, value, _ := strings.Cut(line, "=")
			switch {
			case line == "" || line[0] == '#' || line[0] == ';':
			case line[0] == '[':
				section = strings.Trim(line, "[]")
			case value == "":
				u[section+"."+name] = nil
			default:
				u[section+"."+name] = append(u[section+"."+name], strings.ReplaceAll(value, "%i", instance))
			}
		}
	}
	return u
}

// Is tells whether a setting has a value as its last.
func (u Unit) Is(name, value string) bool { return u.Last(name) == value }

// Last is the value that counts of a setting that has one, "" without.
func (u Unit) Last(name string) string {
	if v := u[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// Words are all words of a setting that is a list.
func (u Unit) Words(name string) (words []string) {
	for _, v := range u[name] {
		words = append(words, strings.Fields(v)...)
	}
	return words
}

// Has tells whether a list has a word.
func (u Unit) Has(name, word string) bool { return slices.Contains(u.Words(name), word) }
