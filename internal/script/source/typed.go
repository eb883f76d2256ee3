package source

import (
	"regexp"
	"strings"
)

// typedPath is what a completion looks at: a name that was begun, behind names of what it
// belongs to.
var typedPath = regexp.MustCompile(`(?:[A-Za-z_]\w*[.:])*(?:[A-Za-z_]\w*)?$`)

// Typed is the path at the end of a command, which a completion replaces.
type Typed struct {
	Owners []string // of the name that was begun, from the outside to the inside
	Prefix string   // its beginning
	Head   string   // the path before the prefix, as it was typed
}

// ReadTyped reads the path at the end of a command; ok is false where nothing is known of
// what may stand there.
func ReadTyped(text string) (Typed, bool) {
	path := typedPath.FindString(text)
	before := text[:len(text)-len(path)]
	if InQuotes(text) || strings.HasSuffix(before, ".") || strings.HasSuffix(before, ":") || before != "" && isWord(before[len(before)-1]) {
		return Typed{}, false
	}
	cut := strings.LastIndexAny(path, ".:") + 1
	c := Typed{Head: path[:cut], Prefix: path[cut:]}
	if cut > 0 {
		c.Owners = strings.FieldsFunc(path[:cut], func(r rune) bool { return r == '.' || r == ':' })
	}
	return c, true
}
