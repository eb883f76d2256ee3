package script

import (
	"fmt"
	"strings"

	"kresd/internal/reference"
)

// usageColumn is where the summaries of a list begin, unless a usage is longer.
const usageColumn = 30

// Help is the text of help(): a line for each global of the resolver; or of help(name):
// all about that name, and a line for each member. It is "" for a name that does not
// exist. For the owner goroutine.
func (vm *VM) Help(name string) string {
	var b strings.Builder
	if name == "" {
		vm.list(&b)
	} else if vm.exists(name) {
		vm.tell(&b, name)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// list writes the globals in the order of the book, and those that are not in it.
func (vm *VM) list(b *strings.Builder) {
	for _, chapter := range vm.book.Chapters {
		for _, e := range chapter.Entries {
			if !chapter.Brief && !strings.Contains(e.Name, ".") && vm.exists(e.Name) {
				vm.line(b, e.Name)
			}
		}
	}
	for _, bound := range vm.bound {
		if vm.book.Find(bound.name) == nil && bound.help != "" {
			vm.line(b, bound.name)
		}
	}
}

// line writes a usage and what it is for.
func (vm *VM) line(b *strings.Builder, name string) {
	usage, summary := vm.usage(name), vm.summary(name)
	if summary == "" {
		fmt.Fprintln(b, usage)
		return
	}
	fmt.Fprintf(b, "%-*s  %s\n", usageColumn-2, usage, summary)
}

// tell writes all about a name, and a line for each of its members.
func (vm *VM) tell(b *strings.Builder, name string) {
	fmt.Fprintln(b, vm.usage(name))
	indented(b, vm.summary(name))
	if e := vm.book.Find(name); e != nil {
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
	for _, member := range vm.members(name) {
		vm.line(b, member)
	}
}

func indented(b *strings.Builder, text string) {
	if text != "" {
		fmt.Fprintln(b, "    "+strings.ReplaceAll(text, "\n", "\n    "))
	}
}

// members are the names behind a global's that there are words about.
func (vm *VM) members(name string) (list []string) {
	for _, b := range vm.bound {
		if b.name == name && b.members != nil {
			for _, d := range b.members.docs {
				if vm.summary(d.name) != "" {
					list = append(list, d.name)
				}
			}
			return list
		}
	}
	for _, chapter := range vm.book.Chapters {
		for _, e := range chapter.Entries {
			if strings.HasPrefix(e.Name, name+".") {
				list = append(list, e.Name)
			}
		}
	}
	return list
}

// exists tells whether the name is that of a global that is there, or of a member
// that there are words about.
func (vm *VM) exists(name string) bool {
	global, member, _ := strings.Cut(name, ".")
	if vm.protected[global] == nil {
		l := vm.m.Stack()
		l.PushGlobalTable()
		rawField(l, global)
		absent := l.IsNil(-1)
		l.Pop(2)
		if absent {
			return false
		}
	}
	return member == "" && vm.summary(name) != "" || member != "" && (vm.bindingOf(name) != nil || vm.book.Find(name) != nil)
}

// bindingOf is what was registered under a name, or nil.
func (vm *VM) bindingOf(name string) *binding {
	for i := range vm.bound {
		b := &vm.bound[i]
		if b.name == name {
			return b
		}
		if b.members != nil && strings.HasPrefix(name, b.name+".") {
			for j := range b.members.docs {
				if d := &b.members.docs[j]; d.name == name {
					return d
				}
			}
		}
	}
	return nil
}

// Usage is a name with its parameters, such as "cache.clear([name])"; without
// parentheses for what is no function. For the owner goroutine.
func (vm *VM) Usage(name string) string { return vm.usage(name) }

func (vm *VM) usage(name string) string {
	if b := vm.bindingOf(name); b != nil {
		return b.usage
	}
	if e := vm.book.Find(name); e != nil && e.Usage != "" {
		return e.Usage
	}
	return name
}

// summary is the line about a name: that of the book, else what its binding says
// itself, as one does that is no part of the program.
func (vm *VM) summary(name string) string {
	if e := vm.book.Find(name); e != nil {
		return e.Summary
	}
	if b := vm.bindingOf(name); b != nil {
		return b.help
	}
	return ""
}

// Book is what there are words about.
func (vm *VM) Book() *reference.Book { return vm.book }
