package usage

import (
	"slices"
	"strings"
	"time"

	"understudy"
)

// One user's uses are told one by one, so many at once and one each so often for
// long; what is more is told as a sum, once in an hour. An operator who looks at
// each of thirty alarms an hour with six cameras has 180.
const (
	burst    = 300
	every    = 20 * time.Second
	sumEvery = time.Hour
)

// budget is what may still be told of somebody, and the sums of the rest.
type budget struct {
	full time.Time // when all may be told again
	sums map[sumKey]*sum
}

type sumKey struct {
	action  understudy.Action
	refused bool
}

// sum is the uses of a kind that were too many.
type sum struct {
	use
	since time.Time
}

func (g *budget) allow(now time.Time) bool {
	full := g.full
	if full.Before(now) {
		full = now
	}
	if full = full.Add(every); full.Sub(now) > burst*every {
		return false
	}
	g.full = full
	return true
}

// add adds a use to the sum of its kind, which has an address only where all have the same.
func (g *budget) add(u *use, now time.Time) {
	k := sumKey{u.Action, u.Refused}
	total, ok := g.sums[k]
	if !ok {
		total = &sum{use: *u, since: now}
		total.camera, total.Footage = "", nil
		g.sums[k] = total
	} else {
		total.join(u)
	}
	if u.camera != "" {
		total.names(u.camera)
	}
}

func (s *sum) join(u *use) {
	s.Requests += u.Requests
	s.More += u.More
	for _, c := range u.Cameras {
		s.names(c)
	}
	for _, route := range u.Routes {
		s.asks(route)
	}
	if u.Began.Before(s.Began) {
		s.Began = u.Began
	}
	if u.Ended.After(s.Ended) {
		s.Ended = u.Ended
	}
	if u.Address != s.Address || u.TokenAddress != s.TokenAddress {
		s.Address, s.TokenAddress = "", ""
	}
}

// tell reports the sums that are due, or all.
func (g *budget) tell(b *Book, now time.Time, all bool) {
	for k, total := range g.sums {
		if all || now.Sub(total.since) >= sumEvery {
			delete(g.sums, k)
			b.report(b.reportOf(&total.use))
		}
	}
}

func (g *budget) idle(now time.Time) bool { return len(g.sums) == 0 && !g.full.After(now) }

// untold is what would be told if all ended now, in an order that stays.
func (b *Book) untold() []understudy.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []understudy.Report
	for _, u := range b.open {
		all = append(all, b.reportOf(u))
	}
	for _, g := range b.budgets {
		for _, total := range g.sums {
			all = append(all, b.reportOf(&total.use))
		}
	}
	slices.SortFunc(all, func(a, b understudy.Report) int {
		if c := a.Use.Began.Compare(b.Use.Began); c != 0 {
			return c
		}
		return strings.Compare(a.Sentence, b.Sentence)
	})
	return all
}
