package script

import (
	"maps"
	"slices"
	"strings"

	"kresd/internal/reference"
)

// A binding is what the machine knows of a function, object or field that was
// registered. What the program's own mean is told by package reference.
type binding struct {
	name, usage, help string
	members           func() []binding // of an object; nil: it has none
}

// MembersOf are the names behind a global's that there are words about.
func (vm *VM) MembersOf(name string) (list []string) {
	for _, b := range vm.bound {
		if b.name == name && b.members != nil {
			for _, d := range b.members() {
				if vm.Summary(d.name) != "" {
					list = append(list, d.name)
				}
			}
			return list
		}
	}
	for _, chapter := range vm.book.Chapters {
		for _, e := range chapter.Entries {
			if strings.HasPrefix(e.Name, name+".") || vm.kinds[name] == name && strings.HasPrefix(e.Name, name+":") {
				list = append(list, e.Name)
			}
		}
	}
	return list
}

// bindingOf is what was registered under a name, or nil.
func (vm *VM) bindingOf(name string) *binding {
	for i := range vm.bound {
		b := &vm.bound[i]
		if b.name == name {
			return b
		}
		if b.members != nil && strings.HasPrefix(name, b.name+".") {
			for _, d := range b.members() {
				if d.name == name {
					return &d
				}
			}
		}
	}
	return nil
}

// Usage is a name with its parameters, such as "cache.clear([name])"; without
// parentheses for what is no function. For the owner goroutine.
func (vm *VM) Usage(name string) string {
	if b := vm.bindingOf(name); b != nil {
		return b.usage
	}
	if e := vm.book.Find(name); e != nil && e.Usage != "" {
		return e.Usage
	}
	return name
}

// Summary is the line about a name: that of the book, else what its binding says
// itself, as one does that is no part of the program.
func (vm *VM) Summary(name string) string {
	if e := vm.book.Find(name); e != nil {
		return e.Summary
	}
	if b := vm.bindingOf(name); b != nil {
		return b.help
	}
	return ""
}

// Unwritten are the registered names that say themselves what they are for, since the
// book does not.
func (vm *VM) Unwritten() (names []string) {
	for _, b := range vm.bound {
		if vm.book.Find(b.name) == nil && b.help != "" {
			names = append(names, b.name)
		}
	}
	return names
}

// Vocabulary are the words that there are of a kind.
func (vm *VM) Vocabulary(name string) []string {
	if list := vm.words[name]; list != nil {
		return list()
	}
	return reference.Vocabularies()[name]
}

// Book is what there are words about.
func (vm *VM) Book() *reference.Book { return vm.book }

func (vm *VM) document(b binding) {
	vm.undocument(b.name)
	vm.bound = append(vm.bound, b)
}

func (vm *VM) undocument(name string) {
	vm.bound = slices.DeleteFunc(vm.bound, func(b binding) bool { return b.name == name })
}

// InFull is a name as package reference has it: that of a method, or of a class, may begin
// with what scripts call the value.
func (vm *VM) InFull(name string) string {
	value, method, isMethod := strings.Cut(name, ":")
	kind := vm.kinds[value]
	switch {
	case kind == "":
		return name
	case isMethod:
		return kind + ":" + method
	}
	return kind
}

// Methods are those of the classes, and the classes, as package reference calls them.
func (vm *VM) Methods() (names []string) {
	names = slices.AppendSeq(names, maps.Values(vm.kinds))
	for _, b := range vm.bound {
		if strings.Contains(b.name, ":") {
			names = append(names, b.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// SaidTwice are the registered names that say what they are for although the book does.
func (vm *VM) SaidTwice() (names []string) {
	said := func(b binding) {
		if b.help != "" && vm.book.Find(b.name) != nil {
			names = append(names, b.name)
		}
	}
	for _, b := range vm.bound {
		said(b)
		if b.members != nil {
			for _, m := range b.members() {
				said(m)
			}
		}
	}
	return names
}

// SetWords gives the words of a vocabulary, of those that entries of package reference
// offer for text in quotes. For the owner goroutine, which also calls list.
func (vm *VM) SetWords(vocabulary string, list func() []string) { vm.words[vocabulary] = list }
