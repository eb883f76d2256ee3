package lineedit

import "strings"

// WordStart is where the word begins that ends text: what a completion replaces.
func WordStart(text string) int {
	for i := len(text) - 1; i >= 0; i-- {
		if c := text[i]; c != '_' && c != '.' && c != ':' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return i + 1
		}
	}
	return 0
}

func commonPrefix(words []string) string {
	if len(words) == 0 {
		return ""
	}
	longest := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, longest) {
			longest = longest[:len(longest)-1]
		}
	}
	return longest
}

// completed is what the text before the cursor becomes by the words that may stand at its
// end. Where nothing can be added, list are the words to choose from.
func completed(before string, words []string) (after string, list []string) {
	begin := WordStart(before)
	longest := commonPrefix(words)
	if len(longest) > len(before)-begin || len(words) == 1 {
		return before[:begin] + longest, nil
	}
	if len(words) > 1 {
		return before, words
	}
	return before, nil
}

// columns lists words below each other in columns, as many as the width allows.
func columns(words []string, width int) string {
	const gap = 2
	longest := 0
	for _, w := range words {
		longest = max(longest, len(w))
	}
	n := max(1, width/(longest+gap))
	rows := (len(words) + n - 1) / n
	var b strings.Builder
	for row := range rows {
		for i := row; i < len(words); i += rows {
			b.WriteString(words[i])
			if i+rows < len(words) {
				b.WriteString(strings.Repeat(" ", longest+gap-len(words[i])))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
