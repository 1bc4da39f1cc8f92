package recording

import (
	"context"
	"log/slog"
	"time"

	"understudy"
)

const (
	// reportQueue bounds what is kept while management servers are away. What does not fit is in the log only.
	reportQueue = 1000
	reportPause = 2 * time.Second
)

// Reporter brings what a server saw to the event log, when there is somebody to take it.
type Reporter struct {
	server understudy.ServerID
	report func(ctx context.Context, server understudy.ServerID, r understudy.Report) error
	queue  chan understudy.Report
	log    *slog.Logger
}

// NewReporter returns a reporter for a server; report is an understudy.EventService's Report.
func NewReporter(server understudy.ServerID, report func(context.Context, understudy.ServerID, understudy.Report) error, log *slog.Logger) *Reporter {
	return &Reporter{server: server, report: report, queue: make(chan understudy.Report, reportQueue), log: log}
}

// Report queues r and never waits.
func (r *Reporter) Report(report understudy.Report) {
	select {
	case r.queue <- report:
	default:
		r.log.Warn("an event does not reach the event log, which has been away for too long", "event", report.Sentence)
	}
}

// Run sends what is queued, in order, until ctx ends.
func (r *Reporter) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case report := <-r.queue:
			if err := r.deliver(ctx, report); err != nil {
				return err
			}
		}
	}
}

// deliver repeats while the log may take it later; what it never will is dropped.
func (r *Reporter) deliver(ctx context.Context, report understudy.Report) error {
	for {
		err := r.report(ctx, r.server, report)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			return nil
		case understudy.CodeOf(err) != understudy.CodeUnavailable:
			r.log.Warn("the event log refused an event", "event", report.Sentence, "error", err)
			return nil
		}
		pause(ctx, reportPause)
	}
}
