package recording

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// Reports arrive in order once the log is back; what the log refuses holds up nothing.
func TestReporterOutlastsAnAbsentLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		var got []string
		r := NewReporter("rec-1", func(_ context.Context, server understudy.ServerID, report understudy.Report) error {
			switch {
			case away.Load():
				return understudy.Errorf(understudy.CodeUnavailable, "away")
			case report.Sentence == "bad":
				return understudy.Errorf(understudy.CodeInvalid, "bad")
			}
			got = append(got, string(server)+" "+report.Sentence)
			return nil
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		for i := range reportQueue + 10 { // more than it keeps: it must not wait
			r.Report(understudy.Report{Sentence: []string{fmt.Sprint(i), "bad"}[i%2]})
		}
		time.Sleep(time.Minute)
		away.Store(false)
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		if len(got) < reportQueue/2 || !slices.Equal(got[:2], []string{"rec-1 0", "rec-1 2"}) {
			t.Errorf("arrived: %d, beginning with %v", len(got), got[:min(2, len(got))])
		}
	})
}
