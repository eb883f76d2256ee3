package source

import "strings"

// A Constructor is a table as it stands in a source: its lines and its own
// string keys.
type Constructor struct {
	First, Last int
	Keys        []string
}

// Constructors finds the tables assigned to a global name. It is right for plain
// configuration; of what it misreads the order stays unknown.
func Constructors(text, name string) (found []Constructor) {
	tokens := spans(text)
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
func readConstructor(tokens []span) (c Constructor, ok bool) {
	c.First = tokens[0].line
	depth := 0
	for i, t := range tokens {
		switch t.text {
		case "{", "(", "[":
			depth++
		case "}", ")", "]":
			if depth--; depth == 0 {
				c.Last = t.line
				return c, true
			}
		case "function":
			return c, false // its statements would look like keys
		case "=":
			if key, ok := keyBefore(tokens[:i]); ok && depth == 1 {
				c.Keys = append(c.Keys, key)
			}
		}
	}
	return c, false
}

// keyBefore reads the key before an equal sign: a name or ['text'].
func keyBefore(tokens []span) (string, bool) {
	last := tokens[len(tokens)-1]
	if last.text == "]" && len(tokens) > 2 {
		inner := tokens[len(tokens)-2]
		return strings.Trim(inner.text, `"'`), inner.kind == Quoted
	}
	return last.text, last.kind != Quoted
}
