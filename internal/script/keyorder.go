package script

import (
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"
)

// The machine forgets the order in which a table's keys were written, which
// matters to an operator (the modules that a configuration loads, with their
// options). So it is read from the source of the assignment, if that is a
// plain one: name = { key = …, ['key'] = … }.

// sortKeys moves the string keys into the written order; keys is sorted
// already, and stays so if the order is unknown.
func sortKeys(keys []any, written []string) {
	if written == nil {
		return
	}
	place := func(key any) int {
		name, ok := key.(string)
		if !ok {
			return -1
		}
		return slices.Index(written, name)
	}
	slices.SortStableFunc(keys, func(a, b any) int { return place(a) - place(b) })
}

// writtenOrder returns the string keys in the order of the source, or nil when
// that cannot be told: the assignment that runs must be the only one to name
// around its line, and have just these keys.
func (vm *VM) writtenOrder(l *lua.State, name string, keys []any) []string {
	d, ok := innermost(l)
	if !ok {
		return nil
	}
	text := vm.sources.text[d.Source]
	for _, table := range constructors(text, name) {
		if d.CurrentLine < table.first || d.CurrentLine > table.last {
			continue
		}
		if sameNames(table.keys, keys) {
			return table.keys
		}
	}
	return nil
}

func sameNames(written []string, keys []any) bool {
	names := 0
	for _, key := range keys {
		if name, ok := key.(string); ok {
			names++
			if !slices.Contains(written, name) {
				return false
			}
		}
	}
	return names == len(written)
}

// A constructor is a table as it stands in a source: its lines and its own
// string keys.
type constructor struct {
	first, last int
	keys        []string
}

// constructors finds the tables assigned to a global name.
func constructors(text, name string) (found []constructor) {
	tokens := tokenize(text)
	for i := 0; i+2 < len(tokens); i++ {
		if tokens[i].text == name && tokens[i+1].text == "=" && tokens[i+2].text == "{" {
			if c, ok := readConstructor(tokens[i+2:]); ok {
				found = append(found, c)
			}
		}
	}
	return found
}

// readConstructor reads from the opening brace to the one that closes it.
func readConstructor(tokens []token) (c constructor, ok bool) {
	c.first = tokens[0].line
	depth := 0
	for i, t := range tokens {
		switch t.text {
		case "{", "(", "[":
			depth++
		case "}", ")", "]":
			if depth--; depth == 0 {
				c.last = t.line
				return c, true
			}
		case "function":
			return c, false // its statements would look like keys
		case "=":
			if key, ok := keyBefore(tokens[:i]); ok && depth == 1 {
				c.keys = append(c.keys, key)
			}
		}
	}
	return c, false
}

// keyBefore reads the key before an equal sign: a name or ['text'].
func keyBefore(tokens []token) (string, bool) {
	last := tokens[len(tokens)-1]
	if last.text == "]" && len(tokens) > 2 {
		inner := tokens[len(tokens)-2]
		return strings.Trim(inner.text, `"'`), inner.quoted
	}
	return last.text, !last.quoted
}

// A token of Lua source: a word, a quoted text with its quotes, or a mark.
type token struct {
	text   string
	line   int
	quoted bool
}

// tokenize is a rough scanner: good enough for plain configuration, and what
// it misreads merely leaves keys sorted.
func tokenize(text string) (tokens []token) {
	line := 1
	for len(text) > 0 {
		n, kind := scanToken(text)
		if kind != space {
			tokens = append(tokens, token{text[:n], line, kind == quoted})
		}
		line += strings.Count(text[:n], "\n")
		text = text[n:]
	}
	return tokens
}
