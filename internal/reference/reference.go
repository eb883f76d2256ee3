// Package reference has the words about everything that configurations and consoles
// can write: one table, from which help(), completion, the manual's reference chapter
// and the manual page kresd.conf(5) are made.
//
// What a name is (a function and its parameters, a field, a table) is said where it is
// bound, in packages script, bindings and the modules. Here stands what it means: a
// file a chapter, an entry a name. Who adds a global, a member of one, or a function of
// a module adds its entry here; a test of package worker compares the table with a
// running worker and says what is missing, and `make docs` writes the documents.
//
// It imports nothing of ours, so that everybody may read it.
package reference

import (
	"fmt"
	"slices"
	"strings"
)

// An Entry tells about one name.
type Entry struct {
	// Name is what is written: "quit", "cache.clear".
	Name string
	// Summary is one line, without a capital letter and a full stop.
	Summary string
	// Params has a line for each parameter, "name: what it is", in their order.
	Params []string
	// Returns says what a function gives back. It is empty for what is no function.
	Returns string
	// Example is Lua that compiles. A test runs it in a worker without a network.
	Example string
	// Apart says why the test only compiles the example; "": it runs it.
	Apart string
	// Offers are the vocabularies that complete text in quotes, one for each
	// parameter; "" where there is none.
	Offers []string
	// Usage is the name with its parameters where no binding says it: functions of the
	// Lua libraries.
	Usage string
}

// A Chapter is a part of the table.
type Chapter struct {
	Title string
	Intro string // a sentence or two, below the title
	// Brief marks chapters of what is described elsewhere, such as Lua's libraries:
	// their entries are a name, a usage and a summary.
	Brief   bool
	Entries []Entry
}

// A Book is a table with its index.
type Book struct {
	Chapters []Chapter
	byName   map[string]*Entry
}

// New makes a book. A name that stands in it twice is a mistake of the program.
func New(chapters ...Chapter) *Book {
	b := &Book{Chapters: chapters, byName: map[string]*Entry{}}
	for i := range chapters {
		for j := range chapters[i].Entries {
			e := &chapters[i].Entries[j]
			if b.byName[e.Name] != nil {
				panic("reference: two entries for " + e.Name)
			}
			b.byName[e.Name] = e
		}
	}
	return b
}

// Program is the book about this program.
func Program() *Book {
	return New(
		console(), process(), network(), cacheChapter(), group(), events(), resolution(), loading(), policies(), views(), firewall(), hints(), anchors(),
		statistics(), others(), constants(), objects(), units(), base(), libraries(),
	)
}

// Find is the entry of a name, or nil.
func (b *Book) Find(name string) *Entry { return b.byName[name] }

// Names are all names that have an entry, sorted.
func (b *Book) Names() []string {
	names := make([]string, 0, len(b.byName))
	for name := range b.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Param splits a line of Params.
func Param(line string) (name, means string) {
	name, means, _ = strings.Cut(line, ": ")
	return name, means
}

// Vocabularies are the words of those Offers that never change. For the others, "flag",
// "type", "module" and "loaded", a running machine knows the words.
func Vocabularies() map[string][]string {
	return map[string][]string{
		"mode":   {"strict", "normal", "permissive"},
		"level":  {"debug", "info", "notice", "warning", "err", "crit"},
		"target": {"stdout", "stderr", "syslog"},
	}
}

// Lacks says in words what an entry needs and does not have; "": nothing. usage
// is the name with its parameters, without parentheses for what is no function.
func (e *Entry) Lacks(usage string) string {
	isFunction := strings.HasSuffix(usage, ")")
	switch {
	case e.Summary == "" || strings.Contains(e.Summary, "\n"):
		return "a summary of one line"
	case !isFunction && e.Returns != "":
		return "no words about what it returns: it is no function"
	case isFunction && e.Returns == "":
		return "words about what it returns (Returns)"
	case isFunction && e.Example == "":
		return "an example"
	case isFunction && len(e.Params) == 0 && !strings.HasSuffix(usage, "()"):
		return fmt.Sprintf("words about the parameters of %s (Params)", usage)
	case strings.HasSuffix(usage, "()") && len(e.Params) > 0:
		return "no words about parameters: it has none"
	}
	for _, line := range e.Params {
		if name, means := Param(line); name == "" || means == "" {
			return fmt.Sprintf("the form \"name: what it is\" in %q", line)
		} else if !strings.Contains(usage, name) {
			return fmt.Sprintf("a parameter %s in %s", name, usage)
		}
	}
	return ""
}
