package script

import (
	"regexp"
	"strings"

	"kresd/internal/script/source"
)

// Absent tells, for names that scripts written for other versions use and that do
// not exist, what is said about them.
//
// The names stay nil, since configurations test them ("if net.bpf_set then"): only a
// script that calls or indexes one learns the sentence, in place of the machine's
// words about a nil value.
type Absent struct {
	Names    map[string]string // globals, and members of objects with the object's name: "net.bpf_set"
	Packages map[string]string // what require() was asked for and nobody has
}

// absences are the absent names and where each was read last.
type absences struct {
	Absent
	sources *source.Texts
	reads   map[string]missedRead // by the last part of the name
	missed  string                // whose read a function told last (Call.Missed)
}

// ErrorWord begins what objects of the resolver refuse.
const ErrorWord = "error: "

// A missedRead is a read of an absent name.
type missedRead struct {
	name, where, told string
	value             bool // of what might be there: told to who indexes it, not to who calls it
}

// note remembers that the code at a place read a name that does not exist, if it is
// one of the absent names.
func (a *absences) note(name string, where func() string) {
	if told, known := a.Names[name]; known {
		a.reads[name[strings.LastIndexByte(name, '.')+1:]] = missedRead{name: name, where: where(), told: told}
	}
}

// remember takes a read of what might be there; only the last one is remembered.
func (a *absences) remember(read missedRead) {
	if _, known := a.Names[a.reads[a.missed].name]; !known {
		delete(a.reads, a.missed)
	}
	a.missed = read.name[strings.LastIndexByte(read.name, '.')+1:]
	a.reads[a.missed] = read
}

// nilUsed is the machine's message about a nil that was called or indexed: where, of
// what kind, and the last part of its name.
var nilUsed = regexp.MustCompile(`^(.*:\d+: )attempt to (?:call|index) (\w+) '([^']+)' \(a nil value\)`)

// explain makes of the machine's message about a nil one about the absent name that
// was read at the same place, or that a variable was given. A field of the same name in
// a script's own table keeps the machine's message: then ok is false.
func (a *absences) explain(msg string) (better string, ok bool) {
	if len(a.reads) == 0 {
		return "", false
	}
	m := nilUsed.FindStringSubmatch(msg)
	if m == nil {
		return "", false
	}
	read, ok := a.reads[m[3]]
	if ok = ok && read.where == m[1]; !ok && m[2] != "field" && m[2] != "method" {
		read, ok = a.given(m[3], m[1])
	}
	if !ok || read.value && strings.Contains(m[0], ": attempt to call ") {
		return "", false
	}
	where := m[1]
	if strings.HasPrefix(where, "[string ") {
		where = "" // a command stands before the reader's eyes
	}
	return where + ErrorWord + read.told + msg[len(m[0]):], true
}

// given finds the absent name that a variable of the chunk was given, in a line such
// as "local f = net.bpf_set".
func (a *absences) given(variable, where string) (missedRead, bool) {
	for _, read := range a.reads {
		if source.ChunkOf(read.where) != source.ChunkOf(where) {
			continue
		}
		assigned := regexp.MustCompile(`(?:^|;|[^,\s]\s+)` + regexp.QuoteMeta(variable) + `\s*=\s*` + regexp.QuoteMeta(read.name) + `\b`)
		if assigned.MatchString(a.sources.Line(read.where)) {
			return read, true
		}
	}
	return missedRead{}, false
}
