package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"understudy"
)

// report is what a campaign found.
type report struct {
	Seed   uint64    `json:"seed"`
	Runs   int       `json:"runs"`
	Failed int       `json:"failed"`
	Rows   []row     `json:"rows"`
	Bad    []outcome `json:"failures,omitempty"`
}

// row is a kind of fault in a mode.
type row struct {
	Kind     string             `json:"kind"`
	Mode     understudy.Standby `json:"mode"`
	Runs     int                `json:"runs"`
	Failed   int                `json:"failed"`
	Decided  int                `json:"decided"`      // runs in which somebody took over
	Decision [2]int64           `json:"decision_ms"`  // half of those, and the slowest
	Gap      [2]int64           `json:"gap_ms"`       // longest hole of a run: half of the runs, and the worst
	Lost     int                `json:"lost"`         // all runs
	Worst    int                `json:"lost_worst"`   // one run
	Doubled  int                `json:"doubled"`      // all runs
	Left     int                `json:"left"`         // all runs
	Frames   int                `json:"frames"`       // accounted for
	Seconds  float64            `json:"seconds_mean"` // a run

	decisions, gaps []int64
}

func (r *report) add(o outcome) {
	r.Runs++
	if !o.Passed {
		r.Failed++
		r.Bad = append(r.Bad, o)
	}
	i := slices.IndexFunc(r.Rows, func(w row) bool { return w.Kind == o.Kind && w.Mode == o.Mode })
	if i < 0 {
		r.Rows = append(r.Rows, row{Kind: o.Kind, Mode: o.Mode})
		slices.SortFunc(r.Rows, func(a, b row) int {
			return cmp.Or(cmp.Compare(place(a.Kind), place(b.Kind)), cmp.Compare(a.Mode, b.Mode))
		})
		i = slices.IndexFunc(r.Rows, func(w row) bool { return w.Kind == o.Kind && w.Mode == o.Mode })
	}
	r.Rows[i].add(o)
}

func place(name string) int {
	return slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
}

func (w *row) add(o outcome) {
	w.Seconds = (w.Seconds*float64(w.Runs) + o.Seconds) / float64(w.Runs+1)
	w.Runs++
	if !o.Passed {
		w.Failed++
	}
	if o.Decided {
		w.Decided++
		w.decisions = append(w.decisions, o.Decision)
		w.Decision = halfAndWorst(w.decisions)
	}
	w.gaps = append(w.gaps, o.Gap)
	w.Gap = halfAndWorst(w.gaps)
	w.Lost += o.Lost
	w.Worst = max(w.Worst, o.Lost)
	w.Doubled += o.Doubled
	w.Left += o.Left
	w.Frames += o.Frames
}

func halfAndWorst(figures []int64) [2]int64 {
	sorted := slices.Sorted(slices.Values(figures))
	return [2]int64{sorted[(len(sorted)-1)/2], sorted[len(sorted)-1]}
}

// print writes the table for a person.
func (r *report) print(to io.Writer) {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "kind\tstandby\truns\tfailed\ttaken over\tdecision ms\tgap ms\tlost\tdoubled\tleft\tframes\ts a run")
	for _, w := range r.Rows {
		decision := "-"
		if w.Decided > 0 {
			decision = fmt.Sprintf("%d / %d", w.Decision[0], w.Decision[1])
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%s\t%d / %d\t%d\t%d\t%d\t%d\t%.0f\n",
			w.Kind, w.Mode, w.Runs, w.Failed, w.Decided, decision, w.Gap[0], w.Gap[1], w.Lost, w.Doubled, w.Left, w.Frames, w.Seconds)
	}
	_ = t.Flush() // who does not listen does not mind
	var named []string
	frames, lost := 0, 0
	for _, w := range r.Rows {
		if !slices.Contains(named, w.Kind) {
			named = append(named, w.Kind)
		}
		frames, lost = frames+w.Frames, lost+w.Lost
	}
	fmt.Fprintf(to, "\n%d runs of %d kinds of fault, seed %d: %d failed; %d frames accounted for, %d lost\n", r.Runs, len(named), r.Seed, r.Failed, frames, lost)
	fmt.Fprintln(to, "decision and gap: half of the runs / the worst, from the fault and of one camera; lost: all cameras of all runs, each frame explained unless the run failed")
	for _, o := range r.Bad {
		fmt.Fprintln(to, "\n"+o.line())
	}
}

// line is a run in a line.
func (o outcome) line() string {
	verdict := "passed"
	if !o.Passed {
		verdict = "FAILED"
	}
	text := fmt.Sprintf("%s  %-24s %-6s seed %-20d %4.0f s  %s", verdict, o.Kind, o.Mode, o.Seed, o.Seconds, o.Why)
	if o.Kept != "" {
		text += "\n        kept in " + o.Kept
	}
	return text
}

// printKinds lists the table of kinds.
func printKinds(to io.Writer) {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, k := range kinds {
		fmt.Fprintf(t, "%s\t%s\t%s\n", k.name, standbyNames(k.modes), k.does)
	}
	fmt.Fprintf(t, "%d kinds\n", len(kinds))
	_ = t.Flush() // who does not listen does not mind
}
