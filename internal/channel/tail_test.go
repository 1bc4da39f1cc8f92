package channel

import (
	"context"
	"errors"
	"testing"

	"understudy"
)

// oneLog is a log that began with first, ends at head and has its name since renamed.
type oneLog struct {
	Log
	first, head, renamed uint64
}

func (l oneLog) Stream() string { return "now" }

func (l oneLog) Site(context.Context) (understudy.Site, error) {
	return understudy.Site{Seq: l.head}, nil
}

func (l oneLog) Renamed(context.Context) (uint64, error) { return l.renamed, nil }

func (l oneLog) Events(_ context.Context, q understudy.EventQuery) ([]understudy.Event, error) {
	var events []understudy.Event
	for seq := max(q.After+1, l.first); seq <= l.head && len(events) < q.Limit; seq++ {
		events = append(events, understudy.Event{Seq: seq})
	}
	return events, nil
}

func (l oneLog) Wait(context.Context, uint64) error { return errReached }

// TestWhereAFeedGoesOn: the news begins anew behind what is kept; who wants the whole log gets
// it from where they were, or from where the log that they were in was left.
func TestWhereAFeedGoesOn(t *testing.T) {
	const head, anew = kept + 500, kept + 501 // no event: the site as it is
	for _, c := range []struct {
		after       understudy.Cursor
		log         oneLog
		tail, whole uint64 // the first event that is told
	}{
		{understudy.Cursor{}, oneLog{}, anew, anew},
		{understudy.Cursor{Stream: "now", Seq: 10}, oneLog{}, anew, 11},
		{understudy.Cursor{Stream: "now", Seq: 10}, oneLog{first: 300}, anew, 300},
		{understudy.Cursor{Stream: "now", Seq: 510}, oneLog{renamed: 5}, 511, 511},
		{understudy.Cursor{Stream: "now", Seq: head + 1}, oneLog{}, anew, anew},
		{understudy.Cursor{Stream: "then", Seq: 700}, oneLog{renamed: 601}, anew, 601}, // the backup is older than what was told
		{understudy.Cursor{Stream: "then", Seq: 500}, oneLog{renamed: 601}, anew, 501}, // what was told is older than the backup
		{understudy.Cursor{Stream: "then", Seq: 0}, oneLog{renamed: 1}, anew, 1},
		{understudy.Cursor{Stream: "then", Seq: 700}, oneLog{}, anew, anew}, // the log does not know where it was left
	} {
		c.log.head = head
		for name, f := range map[string]struct {
			feed understudy.Feed
			want uint64
		}{"tail": {Tail(c.log), c.tail}, "whole": {Whole(c.log), c.whole}} {
			var told []uint64
			sites := 0
			err := f.feed.Follow(t.Context(), c.after, func(u understudy.Update) error {
				if u.Site != nil {
					sites++
					return nil
				}
				told = append(told, u.Event.Seq)
				return nil
			})
			first := uint64(anew)
			if len(told) > 0 {
				first = told[0]
			}
			if !errors.Is(err, errReached) || first != f.want || (sites == 1) != (f.want == anew) || len(told) != int(anew-first) {
				t.Errorf("%s after %v of %+v: %d sites, then %d events from %d, %v; want them from %d", name, c.after, c.log, sites, len(told), first, err, f.want)
			}
		}
	}
}
