package incident

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"understudy"
)

const (
	lot = 1000 // events of one question
	// readAnew is how long what was read of a log is kept: it forgets what is old, and says nothing of it.
	readAnew = 10 * time.Minute
)

// kinds of events that incidents are told in.
var kinds = []understudy.EventKind{
	understudy.EventTakeover, understudy.EventFailback, understudy.EventRefused, understudy.EventConfig,
	understudy.EventServer, understudy.EventMerge, understudy.EventIncident,
}

// recent are the incidents of the newest takeovers. It keeps the events that they
// are told in and reads only what happened since, so that neither a large site's
// storm nor many who look cost as much as the log is long.
type recent struct {
	site Site
	most int // events of each kind, up to lot

	mu        sync.Mutex
	events    []understudy.Event // in order
	last      understudy.Event   // of any kind: so far the log was read
	until     time.Time          // then it is read anew
	incidents []understudy.Incident
}

// newest derives the incidents, the oldest first. They are shared by all who ask.
func (r *recent) newest(ctx context.Context) ([]understudy.Incident, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	goesOn := false
	if time.Now().Before(r.until) {
		var err error
		if goesOn, err = r.readOn(ctx); err != nil {
			r.until = time.Time{}
			return nil, err
		}
	}
	if !goesOn {
		if err := r.begin(ctx); err != nil {
			return nil, err
		}
	}
	return r.incidents, nil
}

// begin reads the newest events of each kind.
func (r *recent) begin(ctx context.Context) error {
	r.events, r.until, r.incidents = nil, time.Time{}, nil
	newest, err := r.site.Events(ctx, understudy.EventQuery{Limit: 1})
	if err != nil || len(newest) == 0 {
		return err
	}
	for _, kind := range kinds {
		// What comes from now on is read after this: each event once.
		some, err := r.site.Events(ctx, understudy.EventQuery{Kind: kind, Before: newest[0].Seq + 1, Limit: r.most})
		if err != nil {
			return err
		}
		r.add(some)
	}
	slices.SortFunc(r.events, bySeq)
	r.last, r.until = newest[0], time.Now().Add(readAnew)
	r.derive()
	return nil
}

// readOn reads what happened since; false when the log is not the one that was read.
func (r *recent) readOn(ctx context.Context) (goesOn bool, err error) {
	known := len(r.events)
	for {
		some, err := r.site.Events(ctx, understudy.EventQuery{After: r.last.Seq - 1, Limit: lot})
		if err != nil {
			return false, err
		}
		if len(some) == 0 || some[0].Seq != r.last.Seq || some[0].Hash != r.last.Hash {
			return false, nil
		}
		r.add(some[1:])
		r.last = some[len(some)-1]
		if len(some) < lot {
			break
		}
	}
	if len(r.events) > known {
		r.trim()
		r.derive()
	}
	return true, nil
}

// add keeps what incidents are derived from: a site's import has a thousand cameras in an event.
func (r *recent) add(events []understudy.Event) {
	for _, e := range events {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		var changes []understudy.Change
		for _, c := range e.Changes {
			if tells(c) {
				changes = append(changes, c)
			}
		}
		e.Changes, e.Was = changes, nil
		r.events = append(r.events, e)
	}
}

// trim forgets the oldest of each kind of which there are too many.
func (r *recent) trim() {
	count := map[understudy.EventKind]int{}
	for _, e := range r.events {
		count[e.Kind]++
	}
	r.events = slices.DeleteFunc(r.events, func(e understudy.Event) bool {
		tooMany := count[e.Kind] > r.most
		if tooMany {
			count[e.Kind]--
		}
		return tooMany
	})
}

func (r *recent) derive() {
	r.incidents = Derive(r.events)
	takeovers := 0
	for _, e := range r.events {
		if e.Kind == understudy.EventTakeover {
			takeovers++
		}
	}
	if takeovers < r.most {
		return
	}
	first := map[understudy.ServerID]bool{} // the first of each home may have begun before what was read
	r.incidents = slices.DeleteFunc(r.incidents, func(i understudy.Incident) bool {
		known := first[i.Home]
		first[i.Home] = true
		return !known
	})
}

func bySeq(a, b understudy.Event) int { return cmp.Compare(a.Seq, b.Seq) }
