package kresc

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kresd/internal/console"
)

// config shows what is in force in the first worker of each group.
func (c *client) config() (status int) {
	ctx, interrupted := c.interruptible()
	replies := ask(ctx, c.workers, console.ReqConfig, "", nil)
	if interrupted() {
		return statusInterrupted
	}
	for _, r := range replies {
		if r.raised {
			r.err = errors.New(r.name() + ": " + r.text)
		}
		var values map[string]any
		if r.err == nil {
			r.err = json.Unmarshal([]byte(r.text), &values)
		}
		if r.err != nil {
			c.complain(r.err)
			status = statusNobody
			continue
		}
		if c.options.JSON {
			c.writeJSON(struct {
				Group  int            `json:"group"`
				Config map[string]any `json:"config"`
			}{r.Group, values})
			continue
		}
		c.write(c.bold(fmt.Sprintf("group %d", r.Group)) + fmt.Sprintf(": kresd %s\n", r.Version))
		for _, l := range flat("", values) {
			c.writeValue(l + "\n")
		}
	}
	return status
}

// flat lists values as lines, a path and its value each, in the order of the paths.
func flat(path string, v any) (lines []string) {
	table, ok := v.(map[string]any)
	if !ok {
		return []string{path + " = " + flatValue(v)}
	}
	if path != "" && len(table) == 0 {
		return []string{path + " = none"}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		below := name
		if path != "" {
			below = path + "." + name
		}
		lines = append(lines, flat(below, table[name])...)
	}
	return lines
}

// flatValue is a value on one line.
func flatValue(v any) string {
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return "none"
		}
		words := make([]string, len(v))
		for i := range v {
			words[i] = flatValue(v[i])
		}
		return strings.Join(words, ", ")
	case string:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
