package kresc

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"kresd/internal/console"
	"kresd/internal/limits"
	"kresd/internal/reload"
	"kresd/internal/safe"
)

// noLatency says why columns are empty, where a worker lacks the module stats.
const noLatency = "What answers take is counted once the module stats is loaded, by modules.load('stats').\n"

// status shows the figures of all workers, each since it began.
func (c *client) status() int {
	ctx, interrupted := c.interruptible()
	readings := c.readAll(ctx, statusCommand)
	c.compareFiles(ctx, readings)
	if interrupted() {
		return statusInterrupted
	}
	if c.options.JSON {
		c.statusJSON(readings)
	} else {
		c.statusText(readings)
	}
	return c.complainOf(readings)
}

// complainOf tells which workers gave no figures, and which do not answer questions.
func (c *client) complainOf(readings []reading) (status int) {
	for _, r := range readings {
		switch {
		case r.err != nil:
			c.complain(r.err)
			status = statusNobody
		case !r.alive:
			c.complain(fmt.Errorf("%s: %s", r.name(), r.why))
			status = max(status, statusRaised)
		}
	}
	return status
}

func (c *client) statusText(readings []reading) {
	for i, group := range groups(readings) {
		if i > 0 {
			c.write("\n")
		}
		c.groupText(group)
	}
	if lacksLatency(readings) {
		c.write("\n" + noLatency)
	}
}

// groups divides readings, which are in the order of groups.
func groups(readings []reading) (list [][]reading) {
	for i, r := range readings {
		if i == 0 || readings[i-1].Group != r.Group {
			list = append(list, nil)
		}
		list[len(list)-1] = append(list[len(list)-1], r)
	}
	return list
}

func lacksLatency(readings []reading) bool {
	for _, r := range readings {
		if _, known := r.tally["answer.total"]; !known && r.err == nil {
			return true
		}
	}
	return false
}

func (c *client) groupText(group []reading) {
	first := group[0]
	c.write(c.bold(fmt.Sprintf("group %d", first.Group)) + fmt.Sprintf(": kresd %s, %s; cache of %s (entries: %s)\n",
		first.Version, counted(len(group), "worker"), size(first.size), number(first.entries)))
	t := newTable("ID", "PROCESS", "UP", "QUERIES", "HITS", "MEAN", "50%", "95%", "99%", "FAIL", "SENT", "LOST", "WAIT", "CPU", "MEM")
	for _, r := range group {
		if r.err != nil {
			continue
		}
		l := newLoad(r.tally, time.Second)
		cells := []string{strconv.Itoa(r.Worker), strconv.Itoa(r.PID), upText(r.PID), number(l.queries), percent(l.hits)}
		cells = append(cells, l.latencyCells()...)
		t.row(append(cells, percent(l.failures), number(l.sentAll), number(l.tmoAll), number(l.waiting), number(l.cpu), size(l.memory))...)
	}
	c.write(t.String())
	for _, line := range certificateLines(group, time.Now()) {
		c.writeValue(line + "\n")
	}
	files := onDisk(group)
	if len(files.Differ) > 0 {
		c.writeValue(fmt.Sprintf("%s on disk is not what is in force: a reload or a restart would put it in force\n", strings.Join(files.Differ, ", ")))
	}
	if len(files.Unread) > 0 {
		c.writeValue(fmt.Sprintf("%s cannot be read by the user that the workers are: whether it is what is in force is not known\n", strings.Join(files.Unread, ", ")))
	}
}

// compareFiles asks each worker what its configuration files say beside what is in force. A worker of a version that cannot tell tells nothing.
func (c *client) compareFiles(ctx context.Context, readings []reading) {
	var group safe.Group
	for i := range readings {
		if r := &readings[i]; r.err == nil {
			group.Go("files", func() { _ = r.answer(ctx, console.ReqOnDisk, limits.ClientWelcome, &r.onDisk) })
		}
	}
	group.Wait()
}

// onDisk is what the workers of a group say of their files, each file once.
func onDisk(group []reading) (files reload.OnDisk) {
	for _, r := range group {
		files.Differ = append(files.Differ, r.onDisk.Differ...)
		files.Unread = append(files.Unread, r.onDisk.Unread...)
	}
	slices.Sort(files.Differ)
	slices.Sort(files.Unread)
	return reload.OnDisk{Differ: slices.Compact(files.Differ), Unread: slices.Compact(files.Unread)}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// A workerStatus is an element of the array of status --json.
type workerStatus struct {
	Group   int                `json:"group"`
	Worker  int                `json:"worker"`
	PID     int                `json:"pid"`
	Version string             `json:"version"`
	Uptime  float64            `json:"uptime"` // seconds
	Load    map[string]float64 `json:"load,omitempty"`
	Figures tally              `json:"figures,omitempty"` // as the worker has them
	Alive   *bool              `json:"alive,omitempty"`   // it answers questions
	Shown   *shownCertificate  `json:"certificate,omitempty"`
	Differ  []string           `json:"not_in_force,omitempty"` // configuration files
	Error   string             `json:"error,omitempty"`
}

func (c *client) statusJSON(readings []reading) {
	list := make([]workerStatus, 0, len(readings))
	for _, r := range readings {
		up := uptime(r.PID)
		s := workerStatus{Group: r.Group, Worker: r.Worker, PID: r.PID, Version: r.Version, Uptime: up.Seconds(), Figures: r.tally}
		if r.err != nil {
			s.Error = r.err.Error()
		} else {
			s.Figures["cache.entries"], s.Figures["cache.size"] = r.entries, r.size
			s.Load = newLoad(r.tally, up).json()
			s.Alive, s.Error = &r.alive, r.why
			s.Shown, s.Differ = r.shown(), r.onDisk.Differ
		}
		list = append(list, s)
	}
	c.writeJSON(list)
}

func upText(pid int) string {
	switch up := uptime(pid); {
	case up == 0:
		return unknown
	case up < time.Hour:
		return up.Truncate(time.Second).String()
	case up < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(up.Hours()), int(up.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(up.Hours())/24, int(up.Hours())%24)
	}
}

// clockTicks are those of a second in /proc on every Linux system.
const clockTicks = 100

// uptime is how long a process has been running, 0 where that is not known.
func uptime(pid int) time.Duration {
	stat := processStat(pid)
	all, err := os.ReadFile("/proc/uptime")
	if err != nil || len(stat) == 0 {
		return 0
	}
	var since, began float64 // seconds, and ticks, since the system began
	if _, err := fmt.Sscan(string(all), &since); err != nil {
		return 0
	}
	if _, err := fmt.Sscan(stat[19], &began); err != nil { // field 22
		return 0
	}
	return time.Duration((since - began/clockTicks) * float64(time.Second))
}
