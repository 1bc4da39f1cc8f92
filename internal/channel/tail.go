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
	// Wait returns when there is an event with a number higher than after.
	Wait(ctx context.Context, after uint64) error
}

// Tail makes a log a feed.
func Tail(log Log) understudy.Feed { return tail{log} }

type tail struct {
	log Log
}

// Follow implements understudy.Feed.
func (t tail) Follow(ctx context.Context, after understudy.Cursor, f func(understudy.Update) error) error {
	stream := t.log.Stream()
	site, err := t.log.Site(ctx)
	if err != nil {
		return err
	}
	seq := after.Seq
	if after.Stream != stream || seq > site.Seq || site.Seq-seq > kept {
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
