package kresc

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
)

// A table is shown with its columns aligned on the right.
type table struct {
	b strings.Builder
	w *tabwriter.Writer
}

func newTable(heading ...string) *table {
	t := &table{}
	t.w = tabwriter.NewWriter(&t.b, 0, 0, 1, ' ', tabwriter.AlignRight)
	t.row(heading...)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")+"\t") }

func (t *table) String() string {
	t.w.Flush()
	return t.b.String()
}

// unknown stands for a figure that is not there.
const unknown = "-"

// number is short: whole where it is large.
func number(n float64) string {
	switch {
	case math.IsNaN(n):
		return unknown
	case math.IsInf(n, 0):
		return ">1500"
	case n >= 100 || n == math.Trunc(n):
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.1f", n)
}

func percent(share float64) string {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return unknown
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}

// size is a number of octets.
func size(octets float64) string {
	switch {
	case octets >= 1<<30:
		return fmt.Sprintf("%.1fG", octets/(1<<30))
	case octets >= 1<<20:
		return fmt.Sprintf("%.0fM", octets/(1<<20))
	}
	return fmt.Sprintf("%.0fk", octets/(1<<10))
}

// latencyCells are mean, median and what 95 and 99 of 100 answers did not exceed.
func (l load) latencyCells() []string {
	return []string{number(l.mean), number(l.p50), number(l.p95), number(l.p99)}
}
