package command

import (
	"fmt"
	"strings"

	"kresd/internal/script"
)

// help is help(name).
func (in *Interpreter) help(c *script.Call) error {
	name := ""
	if !c.IsNil(1) {
		name = helpTopic(c)
	}
	text := in.Help(name)
	if text == "" {
		meant := in.NewSession().didYouMean(c.Stack(), name)
		if meant == "" {
			meant = ";"
		}
		return fmt.Errorf("no help for '%s'%s help() lists what there is", name, meant)
	}
	return c.Return(text)
}

// helpTopic takes a name or the object itself.
func helpTopic(c *script.Call) string {
	if name := c.ObjectName(1); name != "" {
		return name
	}
	return c.String(1)
}

// usageColumn is where the summaries of a list begin, unless a usage is longer.
const usageColumn = 30

// Help is the text of help(): a line for each global of the resolver; or of help(name):
// all about that name, and a line for each member or, of a class, method. It is "" for a
// name that does not exist. For the owner goroutine.
func (in *Interpreter) Help(name string) string {
	var b strings.Builder
	name = in.InFull(name)
	if name == "" {
		in.list(&b)
	} else if in.Exists(name) {
		in.tell(&b, name)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// list writes the globals in the order of the book, and those that are not in it.
func (in *Interpreter) list(b *strings.Builder) {
	for _, chapter := range in.Book().Chapters {
		for _, e := range chapter.Entries {
			if !chapter.Brief && !strings.Contains(e.Name, ".") && in.Exists(e.Name) {
				in.line(b, e.Name)
			}
		}
	}
	for _, name := range in.Unwritten() {
		in.line(b, name)
	}
}

// line writes a usage and what it is for.
func (in *Interpreter) line(b *strings.Builder, name string) {
	usage, summary := in.Usage(name), in.Summary(name)
	if summary == "" {
		fmt.Fprintln(b, usage)
		return
	}
	fmt.Fprintf(b, "%-*s  %s\n", usageColumn-2, usage, summary)
}

// tell writes all about a name, and a line for each of its members.
func (in *Interpreter) tell(b *strings.Builder, name string) {
	fmt.Fprintln(b, in.Usage(name))
	indented(b, in.Summary(name))
	if e := in.Book().Find(name); e != nil {
		for _, p := range e.Params {
			indented(b, p)
		}
		if e.Returns != "" {
			indented(b, "returns "+e.Returns)
		}
		if e.Example != "" {
			indented(b, "example: "+e.Example)
		}
	}
	for _, member := range in.MembersOf(name) {
		in.line(b, member)
	}
}

func indented(b *strings.Builder, text string) {
	if text != "" {
		fmt.Fprintln(b, "    "+strings.ReplaceAll(text, "\n", "\n    "))
	}
}
