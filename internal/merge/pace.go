package merge

import (
	"context"
	"sync"
	"time"
)

// Bounds of a pace.
const (
	slice     = 100 * time.Millisecond // of sending, then of pausing
	maxClosed = 3 * time.Second
	// ShareFree is the share of the time in which a transfer without a rate sends:
	// sending half of the time takes half of whatever line, disks and processors give.
	shareFree  = 0.5
	shareLeast = 1.0 / 64
	// burst is how much of a rate may be made up for after a pause.
	burst = 100 * time.Millisecond
)

// Pace says how fast the sessions of a transfer may send, all together, and may
// change at any time. It is a token bucket for bytes where a rate is set, and
// slices of time: of each, a share is spent sending and the rest is left to
// others. The share is halved with each Feel of something that lags, and
// doubled with each of nothing. The zero Pace is without a bound.
type Pace struct {
	mu      sync.Mutex
	wake    chan struct{} // closed at each change
	rate    int64         // bytes a second; 0 is no bound
	share   float64       // of the time; 0 is all of it
	most    float64       // that share grows to
	held    string        // why nothing may be sent
	lagging string        // what lags, or did until now

	opened, passed, closed time.Time // the slice began; somebody last passed; until then nobody does
	due                    time.Time // of the next byte
}

// Limit sets the bytes a second; 0 is half of what is free.
func (p *Pace) Limit(bytesPerSecond int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := 1.0
	if bytesPerSecond <= 0 {
		bytesPerSecond, most = 0, shareFree
	}
	if p.rate == bytesPerSecond && p.most == most {
		return
	}
	p.rate, p.most = bytesPerSecond, most
	p.share = most
	p.changed()
}

// Hold stops the transfer for as long as why is not empty.
func (p *Pace) Hold(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != why {
		p.held = why
		p.changed()
	}
}

// Feel tells the pace, about once a second, what lags at either end; "" when both are well.
func (p *Pace) Feel(lagging string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most == 0 {
		p.most, p.share = 1, 1
	}
	if lagging != "" {
		p.lagging = lagging
		p.share = max(p.share/2, shareLeast)
		return
	}
	if p.share = min(p.share*2, p.most); p.share == p.most {
		p.lagging = ""
	}
}

// Waiting returns why nothing is sent, or less than could be; "" when nothing holds it up.
func (p *Pace) Waiting() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != "" {
		return p.held
	}
	return p.lagging
}

// changed wakes whoever waits; mu is held.
func (p *Pace) changed() {
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

// chunk returns how much to send at once: enough to be fast, and less than a slice of the rate.
func (p *Pace) chunk() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate == 0 {
		return maxChunk
	}
	return int(min(max(p.rate/10, minChunk), maxChunk))
}

// pass waits until so many bytes may go.
func (p *Pace) pass(ctx context.Context, bytes int) error {
	for {
		again, wake := p.take(bytes)
		if again == 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// take lets the bytes go (0), or says when to try again.
func (p *Pace) take(bytes int) (again time.Duration, wake <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake == nil {
		p.wake = make(chan struct{})
	}
	now := time.Now()
	switch {
	case p.held != "":
		return time.Minute, p.wake
	case now.Before(p.closed):
		return p.closed.Sub(now), p.wake
	}
	if p.share > 0 && p.share < 1 {
		if now.Sub(p.passed) > time.Second || p.opened.IsZero() { // nobody was sending
			p.opened = now
		}
		if spent := now.Sub(p.opened); spent >= slice {
			p.closed = now.Add(min(time.Duration(float64(spent)*(1/p.share-1)), maxClosed))
			p.opened, p.passed = p.closed, p.closed
			return p.closed.Sub(now), p.wake
		}
	}
	if p.rate > 0 {
		if earliest := now.Add(-burst); p.due.Before(earliest) {
			p.due = earliest
		}
		if p.due.After(now) {
			return p.due.Sub(now), p.wake
		}
		p.due = p.due.Add(time.Duration(float64(bytes) / float64(p.rate) * float64(time.Second)))
	}
	p.passed = now
	return 0, nil
}
