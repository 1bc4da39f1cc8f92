// Package stream hands the samples of one source to any number of readers.
//
// The source never waits: each reader has a queue of its own, bounded in
// bytes, and pays itself for being slow. A reader begins with the current GOP,
// so that a picture can be shown at once.
package stream

import (
	"context"
	"io"
	"sync"
	"time"

	"understudy"
)

// maxGOPBytes bounds the GOP that is kept for new readers. A source that sends
// no key frame for longer gets readers that wait for the next one.
const maxGOPBytes = 64 << 20

// Item is what a reader gets: either the tracks with which a new session of the
// source begins, or the next sample of the session.
type Item struct {
	Tracks []understudy.Track
	Sample *understudy.Sample
}

func (i Item) size() int {
	const overhead = 160 // of the sample's other fields and of the queue
	if i.Sample == nil {
		return overhead
	}
	return overhead + len(i.Sample.Payload)
}

// key reports whether a reader that has seen nothing else can begin here.
func (i Item) key() bool {
	return i.Sample != nil && i.Sample.Key && i.Sample.Track == understudy.VideoTrack
}

// Hub is one source with its readers. All methods may be called from any
// goroutine; Tracks and Sample by one at a time.
type Hub struct {
	mu       sync.Mutex
	tracks   []understudy.Track
	gop      []Item // since the last key sample of the video, audio between included; in memory until it is stored
	gopBytes int
	readers  map[*Reader]struct{}
	closed   bool
}

// NewHub returns a hub without a source and without readers.
func NewHub() *Hub { return &Hub{readers: map[*Reader]struct{}{}} }

// Tracks begins a new session of the source.
func (h *Hub) Tracks(tracks []understudy.Track) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tracks = tracks
	h.forget()
	h.publish(Item{Tracks: tracks})
}

// Sample publishes the next sample of the session. It never waits for a reader.
func (h *Hub) Sample(s *understudy.Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	item := Item{Sample: s}
	h.keep(item)
	h.publish(item)
}

func (h *Hub) keep(item Item) {
	if item.key() {
		h.forget()
	} else if len(h.gop) == 0 {
		return
	}
	item.Sample.Keep()
	h.gop = append(h.gop, item)
	h.gopBytes += item.size()
	if h.gopBytes > maxGOPBytes {
		h.forget()
	}
}

// forget drops the GOP.
func (h *Hub) forget() {
	for _, item := range h.gop {
		item.Sample.Unkeep()
	}
	clear(h.gop)
	h.gop, h.gopBytes = h.gop[:0], 0
}

// publish gives item to the readers. Most keep what they read for as long as
// they like: they share one that is not lent. A lazy reader gets a hold.
func (h *Hub) publish(item Item) {
	shared := Item{Tracks: item.Tracks}
	for r := range h.readers {
		mine := item
		switch {
		case item.Sample == nil:
		case r.within > 0:
			item.Sample.Hold()
		default:
			if shared.Sample == nil {
				shared.Sample = item.Sample.Detached()
			}
			mine = shared
		}
		if !r.push(mine) {
			delete(h.readers, r)
		}
	}
}

// Subscribe adds a reader whose queue holds at most limitBytes beyond what it
// begins with: the tracks and the current GOP, where there are any. Close the
// reader when done.
func (h *Hub) Subscribe(limitBytes int) *Reader { return h.subscribe(limitBytes, 0) }

func (h *Hub) subscribe(limitBytes int, within time.Duration) *Reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &Reader{hub: h, within: within, limit: limitBytes, wake: make(chan struct{}, 1), waitKey: len(h.gop) == 0}
	if h.tracks != nil {
		r.queue = append(r.queue, queued{item: Item{Tracks: h.tracks}})
	}
	for _, item := range h.gop {
		r.queue = append(r.queue, r.beginWith(item.Sample))
	}
	if within > 0 {
		r.eagerUntil = time.Now().Add(2 * within)
		r.late = time.AfterFunc(within, r.signal)
	}
	if h.closed {
		r.end = io.EOF
		return r
	}
	h.readers[r] = struct{}{}
	return r
}

// SubscribeLazily is Subscribe for a reader that is woken once for what comes
// within so long: at a key frame, when a session begins, when much has come, or
// when the time is over. In the first moments of a session it is woken each time.
// It holds the samples that it gets, and releases them when it has done with them.
func (h *Hub) SubscribeLazily(limitBytes int, within time.Duration) *Reader {
	return h.subscribe(limitBytes, within)
}

// Close ends the hub: readers get what is in their queues and then io.EOF.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for r := range h.readers {
		r.finish(io.EOF)
	}
	clear(h.readers)
}

// Reader is one subscription. Next and Close are called by one goroutine at a time.
type Reader struct {
	hub   *Hub
	limit int
	wake  chan struct{} // holds one token when there may be something to read

	mu      sync.Mutex
	queue   []queued
	bytes   int
	waitKey bool // what comes before the next key sample cannot be decoded
	stalled bool // overflowed, and has read nothing since
	dropped uint64
	end     error

	fetching *fetch // of Next only: what it reads back

	// Of a lazy reader.
	within     time.Duration // 0: it is not lazy
	eagerUntil time.Time
	since      time.Time   // when the first of what is queued came
	late       *time.Timer // wakes it when nothing comes any more
}

// queued is an item with the size it is charged with; what a reader begins
// with is free, since it is no sign of slowness.
type queued struct {
	item Item
	size int
	away bool // its payload is not in memory any more
}

// push appends item; false when the reader is cut off.
func (r *Reader) push(item Item) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case item.Tracks != nil:
		r.waitKey = true
	case item.key():
		r.waitKey = false
	case r.waitKey:
		r.dropped++
		return true
	}
	size := item.size()
	if r.bytes+size > r.limit {
		return r.overflow(item)
	}
	r.queue = append(r.queue, queued{item: item, size: size})
	r.bytes += size
	if r.within == 0 || r.due(item, time.Now()) {
		r.signal()
	}
	return true
}

// due reports whether a lazy reader is woken for what was queued.
func (r *Reader) due(last Item, now time.Time) bool {
	if len(r.queue) == 1 {
		r.since = now
		r.late.Reset(r.within + r.within/4) // comes to pass only when the source stalls
	}
	if last.Tracks != nil {
		r.eagerUntil = now.Add(2 * r.within)
	}
	return last.key() || now.Before(r.eagerUntil) || now.Sub(r.since) >= r.within || r.bytes > r.limit/4
}

// overflow empties the queue, session beginnings excepted, since a queue with
// single holes cannot be decoded. A reader that has read nothing since the last
// overflow is not slow but gone.
func (r *Reader) overflow(item Item) bool {
	if r.stalled {
		r.queue, r.bytes = nil, 0
		r.end = understudy.Errorf(understudy.CodeUnavailable,
			"the reader was cut off: it took nothing while its queue of %d bytes filled twice; connect again", r.limit)
		r.signal()
		return false
	}
	r.stalled = true
	var tracks []understudy.Track
	for _, q := range r.queue {
		if q.item.Tracks != nil {
			tracks = q.item.Tracks
			continue
		}
		r.dropped++
	}
	r.queue, r.bytes = nil, 0
	if item.Tracks != nil {
		tracks = item.Tracks
	}
	if tracks != nil {
		r.queue = append(r.queue, queued{item: Item{Tracks: tracks}})
	}
	switch {
	case item.Tracks != nil:
	case item.key() && item.size() <= r.limit:
		r.queue = append(r.queue, queued{item: item, size: item.size()})
		r.bytes = item.size()
	default:
		r.dropped++
		r.waitKey = true
	}
	r.signal()
	return true
}

func (r *Reader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Reader) finish(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end = err
	r.signal()
}

// Next returns the next item, waiting for it. Errors: io.EOF when the hub was
// closed, CodeUnavailable when the reader was cut off for slowness, or ctx's.
func (r *Reader) Next(ctx context.Context) (Item, error) {
	for {
		if r.fetching != nil {
			sample, err := r.fetching.wait(ctx)
			if err != nil {
				return Item{}, err
			}
			if r.fetching = nil; sample != nil {
				return Item{Sample: sample}, nil
			}
			r.skip()
		}
		first, ok, err := r.take()
		switch {
		case ok && first.away:
			r.fetching = newFetch(first.item.Sample)
			continue
		case ok || err != nil:
			return first.item, err
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return Item{}, ctx.Err()
		}
	}
}

func (r *Reader) take() (first queued, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return queued{}, false, r.end
	}
	return r.pop(), true, nil
}

// pop takes the first of the queue, which is not empty. mu is held.
func (r *Reader) pop() queued {
	first := r.queue[0]
	r.queue[0] = queued{}
	r.queue = r.queue[1:]
	if len(r.queue) == 0 {
		r.queue = nil
	}
	r.bytes -= first.size
	r.stalled = false
	return first
}

// Dropped returns how many samples the reader missed because it was too slow,
// or because it came while no GOP was kept.
func (r *Reader) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// Close ends the subscription; Next returns io.EOF from then on.
func (r *Reader) Close() {
	r.hub.mu.Lock()
	delete(r.hub.readers, r)
	r.hub.mu.Unlock()
	r.mu.Lock()
	r.queue, r.bytes = nil, 0
	if r.late != nil {
		r.late.Stop()
	}
	r.mu.Unlock()
	r.finish(io.EOF)
}
