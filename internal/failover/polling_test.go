package failover

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// line leads to a server's state port, and may be cut. What is asked on a connection
// while it is, and on that connection later, is not answered.
type line struct{ cut atomic.Bool }

func (l *line) dial(ctx context.Context, _ understudy.ServerID, _ string) (Conn, error) {
	if l.cut.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &lineConn{line: l}, nil
}

type lineConn struct {
	line *line
	dead bool
}

func (c *lineConn) Poll(ctx context.Context, _ understudy.Poll) (understudy.State, error) {
	if c.dead = c.dead || c.line.cut.Load(); c.dead {
		<-ctx.Done()
		return understudy.State{}, errors.New("nobody answered")
	}
	return understudy.State{Server: "rec-1"}, nil
}
func (c *lineConn) Broken() <-chan struct{} { return nil }
func (c *lineConn) Close() error            { return nil }

// Who has not been reached over fresh connections either is heard at once when the cut is over.
func TestAServerIsHeardAtOnceAfterACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		s := New(Config{Node: nobody{}, Recorder: &recorder{}, Log: slog.New(slog.DiscardHandler), DialState: l.dial})
		ctx, cancel := context.WithCancel(t.Context())
		defer s.children.Wait()
		defer cancel()
		var answers atomic.Int64
		go func() {
			for {
				select {
				case o := <-s.seen:
					if o.Answer != nil {
						answers.Add(1)
					}
				case <-ctx.Done():
					return
				}
			}
		}()
		polled := map[understudy.ServerID]string{"rec-1": "here"}
		s.watch(ctx, Want{Watch: polled})
		time.Sleep(900 * time.Millisecond)
		l.cut.Store(true)
		before := answers.Load()
		time.Sleep(time.Second)
		s.watch(ctx, Want{Watch: polled, Verify: []understudy.ServerID{"rec-1"}})
		time.Sleep(time.Second)
		if now := answers.Load(); before == 0 || now != before {
			t.Fatalf("%d answers came before the cut, and %d until its end", before, now)
		}
		l.cut.Store(false)
		time.Sleep(pollEvery + verifyFor)
		if answers.Load() == before {
			t.Errorf("nothing was heard of the server within %s of the end of the cut", pollEvery+verifyFor)
		}
	})
}
