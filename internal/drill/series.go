package drill

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"understudy"
	"understudy/internal/site"
)

// Series is what several drills of one kind measured, one after the other.
type Series struct {
	Mode  Mode       `json:"mode"`
	Fault site.Fault `json:"fault"`
	Runs  int        `json:"runs"`
	Good  int        `json:"runs_passed"`
	// Of the runs; of FirstDurable the worst camera of each.
	Decision     Quantiles `json:"decision_ms"`
	FirstDurable Quantiles `json:"first_durable_ms"`
	// Sums of all runs.
	LostTakeover int `json:"lost_frames_takeover"`
	LostFailback int `json:"lost_frames_failback"`
	LostOthers   int `json:"lost_frames_others"`
	Duplicates   int `json:"duplicate_frames"`
	LeftSegments int `json:"left_on_failover_segments"`
	// Why tells of each run that did not pass.
	Why []string `json:"why,omitempty"`
}

// Quantiles are by the nearest rank: a figure that was measured, not one between two.
type Quantiles struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

func quantiles(figures []int64) Quantiles {
	if len(figures) == 0 {
		return Quantiles{}
	}
	sorted := slices.Sorted(slices.Values(figures))
	rank := func(percent int) int64 { return sorted[(len(sorted)*percent+99)/100-1] }
	return Quantiles{P50: rank(50), P99: rank(99), Max: sorted[len(sorted)-1]}
}

// maxRuns is more than anybody waits for.
const maxRuns = 10_000

// RunSeries rehearses one kind so many times, each time on a new site, and
// shows each result as it comes. An error means that a drill could not be done.
func RunSeries(ctx context.Context, o Options, runs int, show func(Result) error) (Series, error) {
	s := Series{Mode: o.Mode, Fault: o.Fault}
	if runs < 1 || runs > maxRuns {
		return s, understudy.Errorf(understudy.CodeInvalid, "a series has 1 to %d drills, found %d", maxRuns, runs)
	}
	var decisions, durable []int64
	for n := range runs {
		one := o
		if o.Keep != "" && runs > 1 {
			one.Keep = filepath.Join(o.Keep, fmt.Sprintf("run-%d", n+1))
		}
		r, err := Run(ctx, one)
		if err == nil {
			err = show(r)
		}
		if err != nil {
			return s, err
		}
		s.Runs++
		if r.Passed {
			s.Good++
		} else {
			s.Why = append(s.Why, fmt.Sprintf("run %d: %s", s.Runs, r.Why))
		}
		decisions, durable = append(decisions, r.Decision), append(durable, r.FirstDurable.Max)
		s.LostTakeover += r.LostTakeover
		s.LostFailback += r.LostFailback
		s.LostOthers += r.LostOthers
		s.Duplicates += r.Duplicates
		s.LeftSegments += r.LeftSegments
	}
	s.Decision, s.FirstDurable = quantiles(decisions), quantiles(durable)
	return s, nil
}

// Print writes the summary for a person.
func (s Series) Print(w io.Writer) {
	fmt.Fprintf(w, "\n%d of %d drills passed (%s standby, %s of the recording server)\n", s.Good, s.Runs, s.Mode, s.Fault)
	fmt.Fprintf(w, "  decided                p50 %d ms, p99 %d, most %d\n", s.Decision.P50, s.Decision.P99, s.Decision.Max)
	fmt.Fprintf(w, "  all durable again      p50 %d ms, p99 %d, most %d\n", s.FirstDurable.P50, s.FirstDurable.P99, s.FirstDurable.Max)
	fmt.Fprintf(w, "  lost                   %d frames in takeovers, %d in failbacks, %d of other servers' cameras\n", s.LostTakeover, s.LostFailback, s.LostOthers)
	fmt.Fprintf(w, "  twice, left behind     %d frames, %d segments\n", s.Duplicates, s.LeftSegments)
	for _, why := range s.Why {
		fmt.Fprintf(w, "  %s\n", why)
	}
}
