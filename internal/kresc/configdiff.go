package kresc

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"kresd/internal/console"
	"kresd/internal/limits"
)

// errInterrupted says that Ctrl-C ended a task.
var errInterrupted = errors.New("interrupted")

// A change is a setting that is not so by default. What is not set, or not so by default, is
// nil.
type change struct {
	Path    string `json:"path"`
	Value   any    `json:"value"`
	Default any    `json:"default"`
}

// configDiff shows what in the first worker of each group is not as it would be without a
// configuration and options.
func (c *client) configDiff() (status int) {
	return c.configs(func(r reply, values map[string]any) error {
		ctx, interrupted := c.interruptible()
		var defaults map[string]any
		err := r.answer(ctx, console.ReqDefaults, limits.CheckTime+limits.CheckGrace+limits.ClientWelcome, &defaults)
		switch {
		case interrupted():
			return errInterrupted
		case err != nil:
			return err
		}
		list := changes(flat("", values), flat("", defaults))
		if c.options.JSON {
			c.writeJSON(struct {
				Group int      `json:"group"`
				Diff  []change `json:"diff"`
			}{r.Group, list})
			return nil
		}
		c.writeGroup(r)
		for _, one := range list {
			c.writeValue(one.text() + "\n")
		}
		return nil
	})
}

// changes are the settings that differ, in the order of their paths as they are, and behind
// these what is there by default alone.
func changes(values, defaults []setting) []change {
	list := []change{}
	was := map[string]any{}
	for _, d := range defaults {
		was[d.path] = d.value
	}
	for _, v := range values {
		if usual, known := was[v.path]; !known && !nothing(v.value) || known && !reflect.DeepEqual(usual, v.value) {
			list = append(list, change{v.path, v.value, usual})
		}
		delete(was, v.path)
	}
	for _, d := range defaults {
		if _, left := was[d.path]; left && !nothing(d.value) {
			list = append(list, change{Path: d.path, Default: d.value})
		}
	}
	return list
}

// nothing tells whether a value is a list, or a table, without elements.
func nothing(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return v == nil
}

// text is a change on one line. Of a list that is told which elements are there and which
// are not.
func (c *change) text() string {
	value, ok := c.Value.([]any)
	usual, likewise := c.Default.([]any)
	if ok && likewise {
		if more, less := without(value, usual), without(usual, value); len(more)+len(less) > 0 {
			return c.Path + ":" + strings.Join(append(signed(" +", more), signed(" -", less)...), ",")
		}
	}
	switch {
	case c.Default == nil:
		return fmt.Sprintf("%s = %s", c.Path, flatValue(c.Value))
	case c.Value == nil:
		return fmt.Sprintf("%s = none (default: %s)", c.Path, flatValue(c.Default))
	}
	return fmt.Sprintf("%s = %s (default: %s)", c.Path, flatValue(c.Value), flatValue(c.Default))
}

// without lists the elements of one list that another does not have.
func without(list, other []any) (rest []any) {
	for _, v := range list {
		if !slices.ContainsFunc(other, func(o any) bool { return reflect.DeepEqual(o, v) }) {
			rest = append(rest, v)
		}
	}
	return rest
}

// signed puts a sign in front of values.
func signed(sign string, list []any) (words []string) {
	for _, v := range list {
		words = append(words, sign+" "+flatValue(v))
	}
	return words
}
