package reference

import (
	"fmt"
	"strings"
)

// Markdown is the reference chapter of the manual. usage is how a name is written,
// with its parameters.
func (b *Book) Markdown(usage func(name string) string) string {
	var out strings.Builder
	for _, chapter := range b.Chapters {
		fmt.Fprintf(&out, "### %s\n\n", chapter.Title)
		if chapter.Intro != "" {
			fmt.Fprintf(&out, "%s\n\n", chapter.Intro)
		}
		for i := range chapter.Entries {
			chapter.Entries[i].markdown(&out, usage)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// markdown writes an entry as one item of a list.
func (e *Entry) markdown(out *strings.Builder, usage func(string) string) {
	fmt.Fprintf(out, "- %s: %s", code(usage(e.Name)), plain(e.Summary))
	for i, p := range e.Params {
		name, means := Param(p)
		fmt.Fprintf(out, "%s %s: %s", []string{".", ";"}[min(i, 1)], code(name), plain(means))
	}
	if e.Returns != "" {
		fmt.Fprintf(out, ". Gives %s", plain(e.Returns))
	}
	out.WriteByte('\n')
	if e.Example != "" {
		fmt.Fprintf(out, "  %s\n", code(e.Example))
	}
}

// code marks text that is Lua.
func code(text string) string { return "`" + text + "`" }

// plain keeps what would be markup in prose as it is.
func plain(text string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`).Replace(text)
}
