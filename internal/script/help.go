package script

import (
	"strings"
)

// write appends the usage on one line and the explanation, indented, below.
func (e entry) write(b *strings.Builder) {
	b.WriteString(e.usage)
	b.WriteByte('\n')
	for line := range strings.SplitSeq(e.help, "\n") {
		b.WriteString("    " + line + "\n")
	}
}

// Help is the text of help(), or what help(name) shows of one command or of
// an object and its parts. It is "" for an unknown name. For the owner
// goroutine.
func (vm *VM) Help(name string) string {
	var b strings.Builder
	for _, e := range vm.manual {
		if name == "" || e.name == name {
			e.write(&b)
		}
		if name != "" && e.parts != nil {
			e.parts.help(name, &b)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// help appends the parts of the object if name is the object's, or the part of
// that name.
func (o *object) help(name string, b *strings.Builder) {
	for _, e := range o.docs {
		if e.help != "" && (name == o.Name || name == e.name) {
			e.write(b)
		}
	}
}
