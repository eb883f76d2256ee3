package script

import (
	"fmt"
	"slices"
	"strings"
)

// unknownOption is the message for a field that does not exist.
func unknownOption(object, name string, known []string) string {
	msg := fmt.Sprintf("unknown option '%s.%s'", object, name)
	if near := Suggest(name, known); near != "" {
		msg += fmt.Sprintf("; did you mean '%s.%s'?", object, near)
	}
	return msg
}

// Suggest returns the known word that is nearest to a mistyped one, or "" when
// none is near: at most a third of the letters may differ, and one always may.
func Suggest(word string, known []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	older, old := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old = old, row
	}
	return old[len(b)]
}

// beginningWith are the words that begin as typed, in order; where none does, those
// that do so in other letters.
func beginningWith(typed string, words []string) (list []string) {
	var loosely []string
	for _, w := range words {
		if strings.HasPrefix(w, typed) {
			list = append(list, w)
		} else if len(w) >= len(typed) && strings.EqualFold(w[:len(typed)], typed) {
			loosely = append(loosely, w)
		}
	}
	if len(list) == 0 {
		list = loosely
	}
	slices.Sort(list)
	return slices.Compact(list)
}
