package rtsp

import (
	"context"
	"time"
)

// Bounds of a storm, when a takeover or a switch that comes back has a server
// call all its cameras at once. There is no bound for one host: an NVR is asked
// for all its channels, and one that refuses some is asked again with jitter.
const (
	dialsAtOnce = 64
	dialHold    = time.Second // a camera that does not answer keeps others waiting no longer
)

// Dials bounds how many cameras are called at the same moment by all sources
// that share it. A camera counts until it has agreed to send, failed, or had a second, so
// that cameras that are dead delay one that lives by little: 200 dead ones by
// 3 s, fewer than 64 by nothing.
type Dials struct{ slots chan struct{} }

// NewDials returns the bound for one server.
func NewDials() *Dials { return &Dials{make(chan struct{}, dialsAtOnce)} }

// begin waits for a turn; end may be called at any time, more than once and from
// any goroutine. Callers come in the order in which they asked. A nil Dials bounds nothing.
func (d *Dials) begin(ctx context.Context) (end func(), err error) {
	if d == nil {
		return func() {}, nil
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	hold := time.AfterFunc(dialHold, func() { <-d.slots })
	return func() {
		if hold.Stop() {
			<-d.slots
		}
	}, nil
}
