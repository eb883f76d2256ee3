package kresc

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kresd/internal/lineedit"
)

// top shows what happens in all workers between two looks at their figures, until it has
// done so as often as is wanted, or until Ctrl-C, which is no failure.
func (c *client) top() (status int) {
	ctx, interrupted := c.interruptible()
	defer func() {
		if interrupted() {
			status = 0
			if lineedit.IsTerminal(c.streams.Out) {
				c.write("\n")
			}
		}
	}()
	before := c.readAll(ctx, figuresCommand)
	for shown := 0; c.options.Count == 0 || shown < c.options.Count; shown++ {
		select {
		case <-time.After(c.options.Delay):
		case <-ctx.Done():
			return 0
		}
		if err := c.look(); err != nil {
			c.complain(err)
			return statusNobody
		}
		now := c.readAll(ctx, figuresCommand)
		if ctx.Err() != nil {
			return 0
		}
		c.topShow(before, now, shown)
		status = c.complainOf(now)
		before = now
	}
	return status
}

// look lets workers that have ended go, and finds those that have begun.
func (c *client) look() error {
	living, _ := divide(c.workers)
	err := c.gather(living)
	if err != nil && len(living) > 0 {
		c.workers = living
		return nil
	}
	return err
}

// A topRow is a worker between two readings.
type topRow struct {
	reading
	load load
}

// compare finds what happened since the readings before. A worker that was not among them is
// left for the next time.
func compare(before, now []reading) (rows []topRow, all load) {
	sum, longest := tally{}, time.Duration(0)
	for _, n := range now {
		for _, b := range before {
			if n.worker != b.worker || n.err != nil || b.err != nil {
				continue
			}
			d, since := n.at.Sub(b.at), n.minus(b.tally)
			rows = append(rows, topRow{n, newLoad(since, d)})
			sum, longest = sum.plus(since), max(longest, d)
		}
	}
	return rows, newLoad(sum, longest)
}

func (c *client) topShow(before, now []reading, shown int) {
	rows, all := compare(before, now)
	if c.options.JSON {
		c.topJSON(rows)
		return
	}
	several := len(groups(now)) > 1
	head := fmt.Sprintf("%s of %s, over %v", counted(len(now), "worker"), counted(len(groups(now)), "group"), c.options.Delay)
	if !several {
		head = fmt.Sprintf("%s of group %d, over %v", counted(len(now), "worker"), now[0].Group, c.options.Delay)
	}
	text := c.bold(head) + "\n" + topTable(rows, all, several)
	if lacksLatency(now) {
		text += noLatency
	}
	switch {
	case !plain(c.streams.Out):
		text = redraw(text + "Ctrl-C ends.\n")
	case shown > 0:
		text = "\n" + text
	}
	c.write(text)
}

// redraw puts text in the place of what a terminal shows. Lines that are too long for it are
// cut, so that one of the text is one of the terminal; the rest is cleared behind the
// text, since a terminal that is cleared before it flickers.
func redraw(text string) string {
	return "\x1b[H\x1b[?7l" + strings.ReplaceAll(text, "\n", "\x1b[K\r\n") + "\x1b[?7h\x1b[J"
}

// topTable has a column for groups where there are several.
func topTable(rows []topRow, all load, several bool) string {
	var t *table
	row := func(group, worker, pid string, cells []string) {
		cells = append([]string{worker, pid}, cells...)
		if several {
			cells = append([]string{group}, cells...)
		}
		if t == nil {
			t = newTable(cells...)
			return
		}
		t.row(cells...)
	}
	row("GROUP", "ID", "PROCESS", []string{"QUERY/s", "HITS", "MEAN", "50%", "95%", "99%", "FAIL", "SENT/s", "LOST/s", "WAIT", "CPU", "MEM"})
	for _, r := range rows {
		row(strconv.Itoa(r.Group), strconv.Itoa(r.Worker), strconv.Itoa(r.PID), r.load.topCells())
	}
	if len(rows) > 1 {
		row("", "", "all", all.topCells())
	}
	return t.String()
}

func (l load) topCells() []string {
	cells := append([]string{number(l.rate), percent(l.hits)}, l.latencyCells()...)
	return append(cells, percent(l.failures), number(l.sent), number(l.timeouts), number(l.waiting), percent(l.cpu), size(l.memory))
}

// A topLine is an element of the array that top --json writes each time.
type topLine struct {
	Group  int                `json:"group"`
	Worker int                `json:"worker"`
	PID    int                `json:"pid"`
	Load   map[string]float64 `json:"load"`
}

func (c *client) topJSON(rows []topRow) {
	list := make([]topLine, 0, len(rows))
	for _, r := range rows {
		list = append(list, topLine{r.Group, r.Worker, r.PID, r.load.json()})
	}
	c.writeJSON(list)
}
