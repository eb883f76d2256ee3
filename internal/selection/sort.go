package selection

// A Sort is a sort of questions, or a set of sorts. There are servers, and firewalls
// before them, that drop questions for AAAA, or for types that came later, and answer
// those for A at once. What they leave unanswered says nothing about questions of
// another sort.
type Sort uint8

// Sorts, by the type that is asked for.
const (
	ForOthers Sort = 1 << iota
	ForA
	ForAAAA

	allSorts = ForOthers | ForA | ForAAAA
)
