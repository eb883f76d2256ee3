package worker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kresd/internal/limits"
	"kresd/internal/reload"
)

// A finding is how much something that a check found matters.
type finding int

const (
	mistake finding = iota // the configuration does not do what it says
	warning                // a start would say it too, and go on
	note                   // was not done, because a check does nothing
)

// report collects what a check finds, from any goroutine, each once.
type report struct {
	mu    sync.Mutex
	files []string // in the order in which they run
	lines []reported

	defaults json.RawMessage // what is so by default, if that was asked for
}

// file says that a file is a part of the configuration.
func (r *report) file(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = append(r.files, name)
}

type reported struct {
	kind       finding
	text       string
	file, line int // where it belongs; the file's place in the order, -1 for none
}

// placed is a text that begins with its place.
var placed = regexp.MustCompile(`^([^\s:]+):(\d+): `)

// add takes a finding down. Its place is what it begins with, else file.
func (r *report) add(kind finding, text, file string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := reported{kind: kind, text: text}
	if m := placed.FindStringSubmatch(text); m != nil {
		file = m[1]
		f.line, _ = strconv.Atoi(m[2])
	}
	f.file = slices.Index(r.files, file)
	if !slices.Contains(r.lines, f) {
		r.lines = append(r.lines, f)
	}
}

// print writes what was found in the order of the configuration, and returns the exit
// status.
func (r *report) print(o *Options) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sort()
	mistakes := 0
	for _, f := range r.lines {
		word := [...]string{mistake: "", warning: "warning: ", note: "note: "}[f.kind]
		if f.kind == mistake {
			mistakes++
		}
		fmt.Fprintln(o.Stderr, withWord(f.text, word))
	}
	what := strings.Join(r.files, ", ")
	switch mistakes {
	case 0:
		if what == "" {
			what = "no configuration file"
		}
		fmt.Fprintf(o.Stdout, "%s: no errors\n", what)
		return 0
	case 1:
		fmt.Fprintf(o.Stderr, "%s: 1 error\n", cmp.Or(what, "kresd"))
	default:
		fmt.Fprintf(o.Stderr, "%s: %d errors\n", cmp.Or(what, "kresd"), mistakes)
	}
	return 1
}

// sort puts what was found in the order of the configuration.
func (r *report) sort() {
	slices.SortStableFunc(r.lines, func(a, b reported) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
}

// deliver writes the mistakes for the program that has started this check, and returns
// the exit status.
func (r *report) deliver(out io.Writer) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sort()
	found := reload.Report{Mistakes: []string{}, Defaults: r.defaults}
	for _, f := range r.lines {
		if f.kind == mistake && len(found.Mistakes) < limits.CheckRounds {
			found.Mistakes = append(found.Mistakes, f.text)
		}
	}
	if err := json.NewEncoder(out).Encode(found); err != nil {
		return 1
	}
	return min(len(found.Mistakes), 1)
}

// withWord puts a word behind the place that a text begins with.
func withWord(text, word string) string {
	place := placed.FindString(text)
	return place + word + text[len(place):]
}
