package kresc

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kresd/internal/console"
)

// config shows what is in force in the first worker of each group.
func (c *client) config() (status int) {
	return c.configs(func(r reply, values map[string]any) error {
		if c.options.JSON {
			c.writeJSON(struct {
				Group  int            `json:"group"`
				Config map[string]any `json:"config"`
			}{r.Group, values})
			return nil
		}
		c.writeGroup(r)
		for _, l := range lines(flat("", values)) {
			c.writeValue(l + "\n")
		}
		return nil
	})
}

func (c *client) writeGroup(r reply) {
	c.write(c.bold(fmt.Sprintf("group %d", r.Group)) + fmt.Sprintf(": kresd %s\n", r.Version))
}

// configs calls show with the configuration of each group.
func (c *client) configs(show func(r reply, values map[string]any) error) (status int) {
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
		if r.err == nil {
			r.err = show(r, values)
		}
		if errors.Is(r.err, errInterrupted) {
			return statusInterrupted
		}
		if r.err != nil {
			c.complain(r.err)
			status = statusNobody
		}
	}
	return status
}

// A setting is a value of a configuration and its path.
type setting struct {
	path  string
	value any
}

// lines are settings as they are shown.
func lines(settings []setting) (list []string) {
	for _, s := range settings {
		list = append(list, s.path+" = "+flatValue(s.value))
	}
	return list
}

// flat lists the values of a configuration in the order of their paths.
func flat(path string, v any) (list []setting) {
	table, ok := v.(map[string]any)
	if !ok || path != "" && len(table) == 0 {
		return []setting{{path, v}}
	}
	for _, name := range slices.SortedFunc(maps.Keys(table), byNumber) {
		below := name
		if path != "" {
			below = path + "." + name
		}
		list = append(list, flat(below, table[name])...)
	}
	return list
}

// byNumber compares names, those that are numbers by these and before the others.
func byNumber(a, b string) int {
	n, errA := strconv.Atoi(a)
	m, errB := strconv.Atoi(b)
	switch {
	case errA == nil && errB == nil:
		return cmp.Compare(n, m)
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return cmp.Compare(a, b)
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
	case map[string]any:
		if len(v) == 0 {
			return "none"
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
