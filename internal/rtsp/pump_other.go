//go:build !linux

package rtsp

import (
	"context"
	"sync/atomic"
	"time"
)

// Pump reads many connections together where the system can; here each is read
// by itself.
type Pump struct{}

// NewPump returns a pump that reads nothing.
func NewPump() *Pump { return &Pump{} }

// Run waits until ctx ends.
func (*Pump) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

type pumped struct{ deadline atomic.Pointer[time.Time] }

func (*Pump) add(*interleaved) *pumped      { return nil }
func (*pumped) write(p []byte) (int, error) { return len(p), nil }
func (*pumped) close()                      {}
