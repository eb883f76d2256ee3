package worker

import (
	"fmt"
	"slices"
	"strings"
)

// announce says what a person who started this wants to know; on a console they
// ask for it.
func (w *Worker) announce() {
	if w.o.Link.ID() != 0 || w.o.CLI.Interactive {
		return
	}
	for _, addr := range w.addresses() {
		w.log.Notice("listening on " + addr)
	}
	if w.storage.IsOpen() {
		w.log.Notice(fmt.Sprintf("cache of %s in %s", sizeText(w.storage.Size()), w.storage.where()))
	}
	w.rules.anchors.announce(w.log)
}

// addresses are those that are listened on now, and paths.
func (w *Worker) addresses() (list []string) {
	for _, e := range w.server.Endpoints() {
		text := fmt.Sprintf("%s@%d", e.Addr.Addr(), e.Addr.Port())
		if e.Path != "" {
			text = e.Path
		}
		if !e.Awaited && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// listens is the line that a service manager shows.
func (w *Worker) listens() string {
	list := w.addresses()
	if len(list) == 0 {
		return "listening on no address"
	}
	words := list[:min(len(list), 4)]
	text := "listening on " + strings.Join(words, ", ")
	if more := len(list) - len(words); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// sizeText is a size in octets as people say it.
func sizeText(octets int64) string {
	if octets >= 1<<20 {
		return fmt.Sprintf("%d MB", octets>>20)
	}
	return fmt.Sprintf("%d kB", octets>>10)
}
