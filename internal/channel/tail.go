package channel

import (
	"context"

	"understudy"
)

// Log is what the embedded channel follows; the management package is one.
type Log interface {
	Site(ctx context.Context) (understudy.Site, error)
	Events(ctx context.Context, q understudy.EventQuery) ([]understudy.Event, error)
	// Stream names the log: one restored from a backup has another name.
	Stream() string
	// Renamed is the event with which the log got the name that it has; 0 is none.
	Renamed(ctx context.Context) (uint64, error)
	// Wait returns when there is an event with a number higher than after.
	Wait(ctx context.Context, after uint64) error
}

// Tail makes a log a feed.
func Tail(log Log) understudy.Feed { return tail{log, false} }

// Whole makes a log a feed for who wants each event. However far a cursor is behind, the log is
// read from there, or from the oldest event that it still has; and one that was restored from a
// backup from where it differs from the log that the cursor is of.
func Whole(log Log) understudy.Feed { return tail{log, true} }

type tail struct {
	log   Log
	whole bool
}

// Follow implements understudy.Feed.
func (t tail) Follow(ctx context.Context, after understudy.Cursor, f func(understudy.Update) error) error {
	stream := t.log.Stream()
	site, err := t.log.Site(ctx)
	if err != nil {
		return err
	}
	seq, resumed, err := t.resume(ctx, after, understudy.Cursor{Stream: stream, Seq: site.Seq})
	if err != nil {
		return err
	}
	if !resumed {
		seq = site.Seq
		if err := f(understudy.Update{Cursor: understudy.Cursor{Stream: stream, Seq: seq}, Site: &site}); err != nil {
			return err
		}
	}
	for {
		events, err := t.log.Events(ctx, understudy.EventQuery{After: seq, Limit: historyPage})
		if err != nil {
			return err
		}
		if t.log.Stream() != stream { // before its events are taken for those of the log that was
			return understudy.Errorf(understudy.CodeUnavailable, "the log was restored from a backup: it is followed from its beginning")
		}
		for _, e := range events {
			if err := f(understudy.Update{Cursor: understudy.Cursor{Stream: stream, Seq: e.Seq}, Event: &e}); err != nil {
				return err
			}
			seq = e.Seq
		}
		if len(events) > 0 {
			continue
		}
		if err := t.log.Wait(ctx, seq); err != nil {
			return err
		}
	}
}

// resume says after which event of the log, which ends at head, a cursor is gone on from, if it is.
func (t tail) resume(ctx context.Context, after, head understudy.Cursor) (seq uint64, ok bool, err error) {
	switch {
	case after.Stream == head.Stream:
		return after.Seq, after.Seq <= head.Seq && (t.whole || head.Seq-after.Seq <= kept), nil
	case after.Stream == "" || !t.whole:
		return 0, false, nil
	}
	renamed, err := t.log.Renamed(ctx)
	if err != nil || renamed == 0 {
		return 0, false, err
	}
	return min(after.Seq, renamed-1), true, nil
}
