package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	what, ours, reference, ratio, target, met string
}

// sample is many measures of one thing.
type sample []float64

func (s sample) at(part float64) float64 {
	s = slices.Clone(s)
	slices.Sort(s)
	return s[int(part*float64(len(s)-1))]
}

func (s sample) median() float64 { return s.at(0.5) }

// spread is min/median/max.
func (s sample) spread(unit string) string {
	return fmt.Sprintf("%s/%s/%s %s", digits(s.at(0)), digits(s.median()), digits(s.at(1)), unit)
}

func digits(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

// beside compares with a reference of the same run.
func beside(what string, ours, reference sample, unit string, target float64) row {
	ratio := ours.median() / reference.median()
	return row{what, ours.spread(unit), reference.spread(unit), fmt.Sprintf("%.2f", ratio), fmt.Sprintf("≤ %g ×", target), yes(ratio <= target)}
}

// within compares with a number.
func within(what string, ours sample, unit string, target float64) row {
	return row{what, ours.spread(unit), "", "", fmt.Sprintf("≤ %g %s", target, unit), yes(ours.median() <= target)}
}

// told is a number without a target.
func told(what, ours string) row { return row{what: what, ours: ours} }

func yes(met bool) string {
	if met {
		return "yes"
	}
	return "no"
}

func printTable(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	print := func(r row) {
		line := []string{r.what, r.ours, r.reference, r.ratio, r.target, r.met}
		for i := range line {
			if line[i] == "" {
				line[i] = "–"
			}
		}
		fmt.Fprintln(t, strings.Join(line, "\t"))
	}
	fmt.Fprintln(t, "what\tours\treference\tratio\ttarget\tmet")
	for _, r := range rows {
		print(r)
	}
	t.Flush()
}
