package reference

import (
	"fmt"
	"strings"
)

const pageBegin = `.\" Written by 'make docs' from package reference. Change that.
.Dd November 29, 2026
.Dt KRESD.CONF 5
.Os
.Sh NAME
.Nm kresd.conf
.Nd configuration of the resolver kresd
.Sh DESCRIPTION
The configuration of
.Ic kresd
is a program in Lua, which each worker runs when it starts.
Its language is that of Lua 5.1, and that of consoles, timers and rules, too.
.Pp
The file is
.Pa config
in the run directory unless option
.Fl c
names another.
An error in it ends the start; the message has file and line.
.Pp
What follows is everything that a configuration or a console can write.
On a console
.Ic help()
lists it, and
.Ic help('cache.clear')
shows one entry.
Square brackets enclose what may be left out.
.Sh REFERENCE
`

const pageEnd = `.Sh FILES
.Bl -tag -width Ds
.It Pa config
The configuration, in the run directory.
.It Pa data.mdb
The cache.
.It Pa tty/PID
The console of the process with that number.
.El
.Sh EXAMPLES
Listen on two addresses, with a cache of 100 MB:
.Bd -literal -offset indent
net = { '127.0.0.1', '::1' }
cache.size = 100 * MB
.Ed
.Pp
Send what lies below one name to other servers:
.Bd -literal -offset indent
policy.add(policy.suffix(policy.FORWARD('192.0.2.1'),
                         { todname('corp.example') }))
.Ed
`

// Mdoc is the manual page kresd.conf(5). usage is how a name is written, with its
// parameters.
func (b *Book) Mdoc(usage func(name string) string) string {
	var out strings.Builder
	out.WriteString(pageBegin)
	for _, chapter := range b.Chapters {
		fmt.Fprintf(&out, ".Ss %s\n", chapter.Title)
		if chapter.Intro != "" {
			prose(&out, chapter.Intro)
		}
		out.WriteString(".Bl -tag -width Ds\n")
		for i := range chapter.Entries {
			chapter.Entries[i].mdoc(&out, usage)
		}
		out.WriteString(".El\n")
	}
	out.WriteString(pageEnd)
	return out.String()
}

func (e *Entry) mdoc(out *strings.Builder, usage func(string) string) {
	fmt.Fprintf(out, ".It Ic %s\n", argument(usage(e.Name)))
	prose(out, upper(e.Summary)+".")
	if len(e.Params) > 0 {
		out.WriteString(".Bl -tag -width Ds -compact\n")
		for _, p := range e.Params {
			name, means := Param(p)
			fmt.Fprintf(out, ".It Ar %s\n", argument(name))
			prose(out, means)
		}
		out.WriteString(".El\n")
	}
	if e.Returns != "" {
		prose(out, "Gives "+e.Returns+".")
	}
	if e.Example != "" {
		fmt.Fprintf(out, ".Dl %s\n", argument(e.Example))
	}
}

// prose writes text, a new line for each sentence and where a line gets long.
func prose(out *strings.Builder, text string) {
	const width = 78
	for _, sentence := range strings.Split(strings.ReplaceAll(text, ". ", ".\n"), "\n") {
		line := ""
		for _, word := range strings.Fields(escaped(sentence)) {
			switch {
			case line == "" && (word[0] == '.' || word[0] == '\''):
				line = `\&` + word
			case line == "":
				line = word
			case len(line)+1+len(word) > width && word[0] != '.' && word[0] != '\'':
				fmt.Fprintln(out, line)
				line = word
			default:
				line += " " + word
			}
		}
		fmt.Fprintln(out, line)
	}
}

// argument is text as one argument of a macro.
func argument(text string) string {
	return `"` + strings.ReplaceAll(escaped(text), `"`, `""`) + `"`
}

func escaped(text string) string {
	return strings.NewReplacer(`\`, `\e`, "…", "...", "()", `(\&)`).Replace(text)
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
