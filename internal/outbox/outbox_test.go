package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/vault/vaulttest"
)

// eventLog is the log, which can be away.
type eventLog struct {
	away atomic.Bool
	mu   sync.Mutex
	got  []string
}

func (l *eventLog) report(_ context.Context, server understudy.ServerID, r understudy.Report) error {
	switch {
	case l.away.Load():
		return understudy.Errorf(understudy.CodeUnavailable, "away")
	case r.Sentence == "bad":
		return understudy.Errorf(understudy.CodeInvalid, "bad")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, string(server)+" "+r.Sentence)
	return nil
}

// arrived returns what the log has.
func (l *eventLog) arrived() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

// run runs an outbox of rec-1 until stop is called, which is its sudden end.
func run(t *testing.T, l *eventLog, v *vaulttest.Memory) (o *Outbox, stop func()) {
	t.Helper()
	o = New("rec-1", l.report, v, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return o, func() {
		t.Helper()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	}
}

// Reports arrive in order once the log is back; what the log refuses holds up nothing.
func TestOutlastsAnAbsentLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l eventLog
		l.away.Store(true)
		o, stop := run(t, &l, &vaulttest.Memory{})
		for i := range most + 10 { // more than it keeps: it must not wait
			o.Report(understudy.Report{Sentence: []string{fmt.Sprint(i), "bad"}[i%2]})
		}
		time.Sleep(time.Minute)
		l.away.Store(false)
		time.Sleep(time.Minute)
		stop()
		if got := l.arrived(); len(got) != most/2 || !slices.Equal(got[:2], []string{"rec-1 0", "rec-1 2"}) {
			t.Errorf("%d arrived, beginning with %v", len(got), got[:min(2, len(got))])
		}
	})
}

// What nobody took is told by the next run of the server, once.
func TestOutlivesItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l eventLog
		var v vaulttest.Memory
		o, stop := run(t, &l, &v)
		o.Report(understudy.Report{Sentence: "told at once"})
		time.Sleep(5 * time.Second)
		l.away.Store(true)
		o.Report(understudy.Report{Sentence: "suspected"})
		o.Report(understudy.Report{Sentence: "decided"})
		time.Sleep(5 * time.Second)
		stop()
		o, stop = run(t, &l, &v)
		o.Report(understudy.Report{Sentence: "started"})
		time.Sleep(time.Millisecond)
		stop()
		o.Report(understudy.Report{Sentence: "ended"})
		o.Keep()
		l.away.Store(false)
		_, stop = run(t, &l, &v)
		time.Sleep(5 * time.Second)
		stop()
		_, stop = run(t, &l, &v)
		time.Sleep(5 * time.Second)
		stop()
		if got, want := l.arrived(), []string{"rec-1 told at once", "rec-1 suspected", "rec-1 decided", "rec-1 started", "rec-1 ended"}; !slices.Equal(got, want) {
			t.Errorf("arrived: %q, want %q", got, want)
		}
	})
}

// A disk that hangs keeps nothing from being told.
func TestTellsBesideADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l eventLog
		l.away.Store(true)
		v := vaulttest.Memory{Hangs: make(chan struct{})}
		o, stop := run(t, &l, &v)
		o.Report(understudy.Report{Sentence: "storage failed"})
		time.Sleep(5 * time.Second)
		l.away.Store(false)
		time.Sleep(5 * time.Second)
		if got, want := l.arrived(), []string{"rec-1 storage failed"}; !slices.Equal(got, want) {
			t.Errorf("arrived: %q, want %q", got, want)
		}
		close(v.Hangs)
		stop()
	})
}

// What was kept and cannot be read holds up nothing.
func TestBeginsAnewAfterDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l eventLog
		var v vaulttest.Memory
		if err := v.SealFile(file, []byte("{")); err != nil {
			t.Fatal(err)
		}
		o, stop := run(t, &l, &v)
		o.Report(understudy.Report{Sentence: "started"})
		time.Sleep(time.Second)
		stop()
		if got, want := l.arrived(), []string{"rec-1 started"}; !slices.Equal(got, want) {
			t.Errorf("arrived: %q, want %q", got, want)
		}
	})
}

// What users did cannot crowd out what servers saw, nor the other way round, and what a log
// of an older version refuses holds up nothing.
func TestUsesCrowdNothingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l eventLog
		l.away.Store(true)
		o, stop := run(t, &l, &vaulttest.Memory{})
		for range most + 10 {
			o.Report(understudy.Report{Kind: understudy.EventAccess, Sentence: "bad", Use: &understudy.Use{User: "ada"}})
		}
		for i := range most + 10 {
			o.Report(understudy.Report{Sentence: fmt.Sprint(i)})
		}
		if o.Waiting() != 2*most {
			t.Errorf("%d wait", o.Waiting())
		}
		time.Sleep(time.Minute)
		l.away.Store(false)
		time.Sleep(time.Minute)
		stop()
		if got := l.arrived(); len(got) != most || got[0] != "rec-1 0" {
			t.Errorf("%d arrived, beginning with %v", len(got), got[:min(1, len(got))])
		}
	})
}
