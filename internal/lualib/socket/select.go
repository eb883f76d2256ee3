package socket

import (
	"cmp"

	"kresd/internal/fdwatch"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// A selection is one wait for several sockets.
type selection struct {
	lib     *Library
	wake    func()
	watches []*fdwatch.Watch
	told    chan [2]int // side and place of what is ready; what finds no room is left out
}

// buffered is a socket that may have read more than was asked for.
type buffered interface {
	waiting() bool
	descriptor() int
}

// ready waits until one of the sockets in two lists can be read or written, and returns
// the places of those.
func (lib *Library) ready(c *script.Call) error {
	lists := [2]*luavalue.Table{c.Table(1), c.Table(2)}
	limit := -1.0
	if !c.IsNil(3) {
		limit = c.Number(3)
	}
	var failure error
	w := &selection{lib: lib, told: make(chan [2]int, limits.ScriptRequests)}
	err := c.Pause(func(wake func()) func() {
		w.wake = wake
		if failure = cmp.Or(w.add(0, lists[0]), w.add(1, lists[1])); failure != nil {
			wake()
		}
		if limit < 0 {
			return w.end
		}
		alarm := lib.alarms.After(max(script.Seconds(limit), atOnce), wake)
		return func() { alarm.Stop(); w.end() }
	})
	if err != nil || failure != nil {
		return cmp.Or(err, failure)
	}
	result := [2][]any{}
	for len(w.told) > 0 {
		t := <-w.told
		result[t[0]] = append(result[t[0]], t[1])
	}
	return c.Return(result[0], result[1])
}

// add watches the sockets of a list: for reading on side 0, for writing on side 1.
func (w *selection) add(side int, list *luavalue.Table) error {
	for _, p := range list.Pairs {
		place, isPlace := p.Key.(float64)
		h, isHandle := p.Value.(*script.Handle)
		if !isPlace || !isHandle {
			continue
		}
		s, ok := h.Value.(buffered)
		if !ok || s.descriptor() < 0 {
			continue
		}
		tell := func(fdwatch.Events, error) {
			select {
			case w.told <- [2]int{side, int(place)}:
			default:
			}
			w.wake()
		}
		if side == 0 && s.waiting() {
			tell(0, nil)
			continue
		}
		watch, err := w.lib.watcher.Watch(s.descriptor(), fdwatch.Events(side+1), tell)
		if err != nil {
			return err
		}
		w.watches = append(w.watches, watch)
	}
	return nil
}

func (w *selection) end() {
	for _, watch := range w.watches {
		watch.Close()
	}
}
