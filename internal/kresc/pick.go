package kresc

import (
	"cmp"
	"slices"

	"kresd/internal/cli"
)

// everybody tells whether all workers are meant, and not the first of each group.
func (c *client) everybody() bool {
	return c.options.All || c.options.Task == cli.StatusTask || c.options.Task == cli.TopTask
}

// sorted orders workers by group and number.
func sorted(workers []*worker) []*worker {
	slices.SortFunc(workers, func(a, b *worker) int {
		return cmp.Or(a.Group-b.Group, a.Worker-b.Worker, a.PID-b.PID)
	})
	return workers
}

// firsts keeps the first worker of each group; the others' connections are closed.
func firsts(all []*worker) (first []*worker) {
	for _, w := range all {
		if hasGroup(first, w.Group) {
			w.close()
			continue
		}
		first = append(first, w)
	}
	return first
}

func hasGroup(workers []*worker, group int) bool {
	return slices.ContainsFunc(workers, func(w *worker) bool { return w.Group == group })
}

func isOf(workers []*worker, path string) bool {
	return slices.ContainsFunc(workers, func(w *worker) bool { return w.path == path })
}

// divide separates those whose connections have ended.
func divide(workers []*worker) (living, ended []*worker) {
	for _, w := range workers {
		if w.gone.Load() {
			ended = append(ended, w)
		} else {
			living = append(living, w)
		}
	}
	return living, ended
}
