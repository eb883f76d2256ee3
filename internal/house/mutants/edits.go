package main

import (
	"cmp"
	"slices"
)

// edits are texts that go into a file. They are added from the outermost node
// inwards.
type edits []edit

type edit struct {
	at, drop int // octets from there are left out
	kind     kind
	order    int
	text     string
}

// kind says on which side of an edit at the same place one stands.
type kind int

const (
	closing kind = iota // ends what is before: the innermost first
	opening             // begins what follows: the outermost first
	instead             // takes the place of what follows
)

func (e *edits) add(at, drop int, k kind, text string) {
	order := len(*e)
	if k == closing {
		order = -order
	}
	*e = append(*e, edit{at, drop, k, order, text})
}

// apply makes the text with all edits.
func (e edits) apply(text []byte) []byte {
	slices.SortFunc(e, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind), cmp.Compare(a.order, b.order))
	})
	var out []byte
	from := 0
	for _, x := range e {
		out = append(append(out, text[from:x.at]...), x.text...)
		from = x.at + x.drop
	}
	return append(out, text[from:]...)
}
