package media

import (
	"context"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/stream"
)

// Shape of a live playlist (RFC 8216bis, "Low-Latency HLS").
const (
	livePart    = 300 * time.Millisecond // of pictures in a part, at least
	liveSegment = time.Second            // a key frame begins a segment after so much
	liveLongest = 4 * time.Second        // a segment is ended also without a key frame: the target duration, unless pictures are rarer
	liveBytes   = 64 << 20               // of all that is kept
	liveIdle    = 30 * time.Second       // a packager that nobody asks is let go
)

// livePacket is a part of a live playlist: one fragment.
type livePacket struct {
	bytes       []byte
	duration    time.Duration
	independent bool // decoding can begin here
}

// liveRun is a segment of a live playlist.
type liveRun struct {
	parts    []livePacket
	start    time.Time
	duration time.Duration
	init     int  // which one its parts need
	breaks   bool // its times do not go on
}

// packager makes the parts of one live camera for all who ask for its playlist.
// It has no goroutine: of the requests that wait, one reads the hub for all.
type packager struct {
	hub    *stream.Hub
	reader *stream.Reader
	sound  bool
	turn   chan struct{} // held by the request that reads
	idle   *time.Timer

	mu       sync.Mutex
	changed  chan struct{} // closed when there is something new
	err      error         // the end
	tracks   []understudy.Track
	inits    [][]byte
	runs     []liveRun // the last one is open
	first    uint64    // number of runs[0]
	broken   uint64    // discontinuities before runs[0]
	early    []*understudy.Sample
	frames   time.Duration // usual distance of pictures; 0 until it is known
	target   time.Duration // longest part
	longest  time.Duration // segment
	pending  []fmp4.TimedSample
	length   time.Duration // of the pictures in pending
	held     map[int]*understudy.Sample
	base     time.Time
	number   uint32
	breaking bool // the next run does not go on where the last one ended
}

func newPackager(hub *stream.Hub, sound bool) *packager {
	return &packager{
		hub: hub, reader: hub.Subscribe(liveQueue), sound: sound, turn: make(chan struct{}, 1), changed: make(chan struct{}),
		// Numbers go on growing when this one is let go and another one follows: no
		// segment but the last is shorter than a second.
		first: uint64(time.Now().Unix()), held: map[int]*understudy.Sample{},
	}
}

// wait returns when ready does, which is called under the lock, or why that is
// in vain. Before it asks, it takes all that the hub has for it.
func (p *packager) wait(ctx context.Context, ready func() bool) error {
	p.drain()
	for {
		p.mu.Lock()
		if ready() {
			p.mu.Unlock()
			return nil
		}
		changed, err := p.changed, p.err
		p.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case p.turn <- struct{}{}:
			p.next(ctx)
			<-p.turn
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drain reads what lies in the queue, unless another request is reading.
func (p *packager) drain() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	select {
	case p.turn <- struct{}{}:
		for p.next(over) {
		}
		<-p.turn
	default:
	}
}

// next reads one item of the hub and tells all who wait. False when there was
// none before ctx ended, or there will be none. Its caller has the turn.
func (p *packager) next(ctx context.Context) bool {
	item, err := p.reader.Next(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		err = p.take(item)
	} else if ctx.Err() != nil {
		return false // the end of this request only
	}
	if err != nil {
		p.err = err
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return err == nil
}

// end lets the hub forget the packager.
func (p *packager) end() {
	p.reader.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = io.EOF
	}
}

// take enters what the hub published; the lock is held.
func (p *packager) take(item stream.Item) error {
	if item.Tracks != nil {
		return p.session(item.Tracks)
	}
	s := item.Sample
	if s.Track > len(p.tracks) {
		return nil
	}
	if p.frames == 0 {
		return p.learn(s)
	}
	return p.sample(s)
}

// session begins another session of the source.
func (p *packager) session(tracks []understudy.Track) error {
	if !p.sound {
		tracks = tracks[:1]
	}
	if err := p.flush(); err != nil {
		return err
	}
	p.early = nil
	p.breaking = p.breaking || len(p.runs) > 0
	if p.tracks != nil && reflect.DeepEqual(tracks, p.tracks) {
		return nil
	}
	init, err := fmp4.MarshalInit(tracks)
	if err != nil {
		return err
	}
	p.tracks, p.inits = tracks, append(p.inits, init)
	return nil
}

// learn waits for three pictures, to know their distance: what a player is told
// of parts before it sees the first one must hold for all.
func (p *packager) learn(s *understudy.Sample) error {
	p.early = append(p.early, s)
	var at []time.Time
	for _, s := range p.early {
		if s.Track == understudy.VideoTrack {
			at = append(at, s.At)
		}
	}
	if len(at) < 3 {
		return nil
	}
	p.frames = max(min(at[1].Sub(at[0]), at[2].Sub(at[1])), 5*time.Millisecond)
	count := time.Duration(math.Ceil(float64(livePart) / float64(p.frames)))
	p.target = (count*p.frames*108/100 + time.Millisecond).Truncate(time.Millisecond)
	p.longest = max(liveLongest, 2*p.target)
	for _, s := range p.early {
		if err := p.sample(s); err != nil {
			return err
		}
	}
	p.early = nil
	return nil
}

// sample enters the next one of a track; the one before it is complete then.
func (p *packager) sample(s *understudy.Sample) error {
	held := p.held[s.Track]
	video := s.Track == understudy.VideoTrack
	if held == nil {
		if video && !s.Key || !video && (p.held[understudy.VideoTrack] == nil || s.At.Before(p.base)) {
			return nil
		}
		if video {
			p.begin(s)
		}
		p.held[s.Track] = s
		return nil
	}
	step := s.At.Sub(held.At)
	if video && (step <= 0 || step > p.longest) {
		p.breaking = true
		if err := p.flush(); err != nil {
			return err
		}
		return p.sample(s)
	}
	if step <= 0 {
		return nil
	}
	p.held[s.Track] = s
	p.pending = append(p.pending, fmp4.TimedSample{Sample: held, Duration: step})
	if !video {
		return nil
	}
	p.length += step
	run := p.runs[len(p.runs)-1].duration + p.length
	if ends := s.Key && run >= liveSegment || run+step > p.longest; ends || p.length*100 >= (p.target*100/108)*95 {
		if err := p.cut(); err != nil {
			return err
		}
		if ends {
			p.begin(s)
		}
	}
	return nil
}

// begin begins a run with a picture.
func (p *packager) begin(s *understudy.Sample) {
	if p.base.IsZero() || p.breaking {
		p.base = s.At
	}
	p.runs = append(p.runs, liveRun{start: s.At, init: len(p.inits) - 1, breaks: p.breaking})
	p.breaking = false
	kept, size := time.Duration(0), 0
	for i := len(p.runs) - 1; i >= 0; i-- {
		if kept > 4*p.longest || size > liveBytes {
			for _, gone := range p.runs[:i+1] {
				if gone.breaks {
					p.broken++
				}
			}
			p.first += uint64(i + 1)
			p.runs = slices.Clone(p.runs[i+1:])
			break
		}
		kept += p.runs[i].duration
		for _, part := range p.runs[i].parts {
			size += len(part.bytes)
		}
	}
}

// cut makes a part of what is pending.
func (p *packager) cut() error {
	i := slices.IndexFunc(p.pending, func(s fmp4.TimedSample) bool { return s.Track == understudy.VideoTrack })
	if i < 0 {
		return nil
	}
	p.number++
	b, err := fmp4.MarshalFragment(p.tracks, p.number, p.base, p.pending)
	if err != nil {
		return err
	}
	run := &p.runs[len(p.runs)-1]
	run.parts = append(run.parts, livePacket{bytes: b, duration: p.length, independent: p.pending[i].Key})
	run.duration += p.length
	p.pending, p.length = nil, 0
	return nil
}

// flush ends what is open: nothing will follow it.
func (p *packager) flush() error {
	if held := p.held[understudy.VideoTrack]; held != nil {
		p.pending = append(p.pending, fmp4.TimedSample{Sample: held, Duration: p.frames})
		p.length += p.frames
		if err := p.cut(); err != nil {
			return err
		}
	}
	p.pending, p.length = nil, 0
	clear(p.held)
	return nil
}

// has reports whether part n of segment number is there; a number behind the
// last part of an ended segment means the first of the next. The lock is held.
func (p *packager) has(number uint64, n int) bool {
	if len(p.runs) == 0 || number < p.first {
		return false
	}
	last := p.first + uint64(len(p.runs)) - 1
	switch {
	case number > last:
		return false
	case n < len(p.runs[number-p.first].parts):
		return true
	case number == last:
		return false
	default:
		return len(p.runs[number-p.first+1].parts) > 0 || number+1 < last
	}
}

// ended reports that a segment is whole; the lock is held.
func (p *packager) ended(number uint64) bool {
	return number >= p.first && number+1 < p.first+uint64(len(p.runs))
}

// packagers are those of all cameras that somebody plays over HLS.
type packagers struct {
	mu  sync.Mutex
	all map[packagerKey]*packager
}

type packagerKey struct {
	camera understudy.CameraID
	sound  bool
}

// of returns a camera's packager, a new one where there is none or the old one has ended.
func (x *packagers) of(key packagerKey, hub *stream.Hub) *packager {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.all[key]
	if p != nil && p.hub == hub && p.running() {
		p.idle.Reset(liveIdle)
		return p
	}
	if p != nil {
		p.idle.Stop()
		p.end()
	}
	p = newPackager(hub, key.sound)
	p.idle = time.AfterFunc(liveIdle, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		p.end()
		if x.all[key] == p {
			delete(x.all, key)
		}
	})
	if x.all == nil {
		x.all = map[packagerKey]*packager{}
	}
	x.all[key] = p
	return p
}

func (p *packager) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err == nil
}

// liveError makes an answer of the end of a packager.
func liveError(camera understudy.CameraID, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) {
		return understudy.Errorf(understudy.CodeUnavailable, "camera %s sends no picture now: ask again", camera)
	}
	return err
}
