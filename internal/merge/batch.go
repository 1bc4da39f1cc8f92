package merge

import (
	"context"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
)

// Source is the store that footage leaves; a storage.Store is one.
type Source interface {
	// Has reads a closed segment back from the disk; not ok if it is not here whole.
	Has(id understudy.SegmentID) (size int64, sha256 [32]byte, ok bool)
	OpenSegment(ctx context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error)
	// Delete removes a segment; why is a sentence for the log.
	Delete(id understudy.SegmentID, why string) error
	// DeleteNotes removes those that are still as they were.
	DeleteNotes(notes []understudy.Note) error
}

// SendOptions are what a site may set; the zero value sends as fast as it can
// and confirms at once.
type SendOptions struct {
	// Grace is the time between receipt and confirmation.
	Grace time.Duration
	// Sessions is how many run at once, each with a segment of its own; 0 is 3,
	// and one runs in the goroutine of the caller. While home seals one segment, another is on the line and a third is read.
	Sessions int
	// Pace bounds the transfer; nil does not.
	Pace *Pace
	// Memory spares work over several batches; nil is one of this batch alone.
	Memory *Memory
	// Watched returns what is played from here; it may be nil, as if nothing was.
	Watched func() []Watched
	// Expired reports whether retention may take a segment by its age; nil never.
	// A segment that home calls expired is deleted only if this agrees.
	Expired func(understudy.Segment) bool
	// Clock is what a session waits by; nil is the system's.
	Clock Clock
}

// Clock tells the time, and waits.
type Clock interface {
	Now() time.Time
	// Wait returns nil after d, and ctx's error if that ends first.
	Wait(ctx context.Context, d time.Duration) error
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const sessions = 3

// Sent is what came of a batch.
type Sent struct {
	Segments int   // that home has now
	Bytes    int64 // that went over the wire
	Deleted  int   // segments, here, after home confirmed them
	Expired  int   // segments that were deleted here because their time had come
	Notes    int   // that home has now, and that were deleted here
	// Refused has a sentence for each segment that home did not take.
	Refused map[understudy.SegmentID]string
	// Quarantined are those of Refused whose bytes failed their hash too often.
	Quarantined []understudy.SegmentID
}

// Batch is footage to bring home: segments, and notes that go before them.
type Batch struct {
	from, to understudy.ServerID
	source   Source
	options  SendOptions

	mu      sync.Mutex
	notes   []understudy.Note
	queue   []understudy.Segment           // that no session has begun, oldest first
	all     map[understudy.SegmentID]int64 // the sizes of those that are not home yet
	bytes   int64                          // of all
	partly  map[understudy.SegmentID]int64 // what home has of those that are under way
	partial int64                          // of all of partly
	watched []Watched                      // at home
	camera  understudy.CameraID
	meter   meter
	done    int64
	held    int // segments that Memory says not to offer now
	sent    Sent
}

// NewBatch makes a batch of what the server from recorded for the server to.
// What Memory says not to offer now is left out.
func NewBatch(from, to understudy.ServerID, source Source, segments []understudy.Segment, notes []understudy.Note, o SendOptions) *Batch {
	if o.Sessions <= 0 {
		o.Sessions = sessions
	}
	if o.Pace == nil {
		o.Pace = &Pace{}
	}
	if o.Memory == nil {
		o.Memory = &Memory{}
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	o.Memory.only(segments)
	b := &Batch{from: from, to: to, source: source, options: o, notes: notes,
		all: map[understudy.SegmentID]int64{}, partly: map[understudy.SegmentID]int64{}, sent: Sent{Refused: map[understudy.SegmentID]string{}}}
	for _, s := range segments {
		if o.Memory.isHeld(s.ID, o.Clock.Now()) {
			b.held++
			continue
		}
		b.queue = append(b.queue, s)
		b.all[s.ID] = s.Size
		b.bytes += s.Size
	}
	return b
}

// Empty reports whether there is nothing to send now.
func (b *Batch) Empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) == 0 && len(b.notes) == 0
}

// Run brings the batch home over connections of dial, each of which is TLS to
// that very server, and returns when each segment was deleted here or refused
// there. What is lacking after an error is in the next batch. CodeUnavailable:
// home cannot take anything now. It runs once.
func (b *Batch) Run(ctx context.Context, dial func(context.Context) (net.Conn, error)) (Sent, error) {
	err := b.run(ctx, dial)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent, err
}

func (b *Batch) run(ctx context.Context, dial func(context.Context) (net.Conn, error)) error {
	// Notes go first, by the first session, and alone.
	first, err := b.connect(ctx, dial)
	if err != nil {
		return err
	}
	if b.options.Sessions == 1 {
		return first.run(ctx, func() {})
	}
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		more := sync.OnceFunc(func() {
			for range min(b.options.Sessions, b.waiting()) - 1 {
				group.Go(func() error {
					// Home may not want as many; one session brings everything home, too.
					if s, err := b.connect(running, dial); err == nil {
						return s.run(running, nil)
					}
					return nil
				})
			}
		})
		return first.run(running, more)
	})
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}

func (b *Batch) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// next takes the segment to send next: what somebody plays first, then the oldest.
func (b *Batch) next() (understudy.Segment, bool) {
	var here []Watched
	if b.options.Watched != nil {
		here = b.options.Watched()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return understudy.Segment{}, false
	}
	wanted := func(s understudy.Segment) bool {
		played := func(w Watched) bool { return w.has(s) }
		return slices.ContainsFunc(here, played) || slices.ContainsFunc(b.watched, played)
	}
	at := max(slices.IndexFunc(b.queue, wanted), 0)
	s := b.queue[at]
	b.queue = slices.Delete(b.queue, at, at+1)
	b.camera = s.ID.Camera
	return s, true
}

// left is what has to come home yet; mu is held.
func (b *Batch) left() left { return left{Segments: len(b.all), Bytes: b.bytes - b.partial} }

// reached notes how much home has of a segment that is under way; mu is held.
func (b *Batch) reached(id understudy.SegmentID, bytes int64) {
	b.partial += bytes - b.partly[id]
	b.partly[id] = bytes
}

// drop takes a segment out of what has to come home; mu is held.
func (b *Batch) drop(id understudy.SegmentID) {
	b.reached(id, 0)
	delete(b.partly, id)
	b.bytes -= b.all[id]
	delete(b.all, id)
}

func (b *Batch) update(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// moved counts bytes that went over the wire, up to an offset of a segment.
func (b *Batch) moved(id understudy.SegmentID, bytes int, offset int64) {
	b.update(func() {
		b.reached(id, offset)
		b.sent.Bytes += int64(bytes)
		b.meter.add(time.Now(), int64(bytes))
	})
}

// arrived notes that home has a segment.
func (b *Batch) arrived(id understudy.SegmentID, watched []Watched) {
	b.update(func() {
		b.sent.Segments++
		b.done += b.all[id]
		b.drop(id)
		b.watched = watched[:min(len(watched), maxWatched)]
	})
}

// Transfer returns how far the batch is.
func (b *Batch) Transfer() understudy.Transfer {
	waiting := b.options.Pace.Waiting()
	b.mu.Lock()
	defer b.mu.Unlock()
	now, l := time.Now(), b.left()
	t := understudy.Transfer{From: b.from, To: b.to, Camera: b.camera, SegmentsLeft: l.Segments, BytesLeft: l.Bytes,
		BytesDone: b.done + b.partial, BytesPerSecond: b.meter.rate(now), Waiting: waiting, Held: len(b.sent.Refused) + b.held}
	t.Until = until(now, t)
	if t.Waiting == "" && l.Segments == 0 {
		t.Waiting = "home has everything and is asked after a while whether it still does"
	}
	return t
}

func until(now time.Time, t understudy.Transfer) time.Time {
	if t.BytesPerSecond <= 0 || t.BytesLeft <= 0 {
		return time.Time{}
	}
	seconds := min(float64(t.BytesLeft)/float64(t.BytesPerSecond), 365*24*3600)
	return now.Add(time.Duration(seconds * float64(time.Second))).Round(time.Second)
}

// meter is a rate over the last seconds: a sum for each.
type meter struct {
	begun  int64 // the first second, since 1970
	second int64 // of the newest sum
	sums   [meterSeconds]int64
}

const meterSeconds = 5

func (m *meter) add(now time.Time, bytes int64) {
	m.advance(now)
	if m.begun == 0 {
		m.begun = m.second
	}
	m.sums[m.second%meterSeconds] += bytes
}

func (m *meter) advance(now time.Time) {
	second := now.Unix()
	for at := max(m.second+1, second-meterSeconds+1); at <= second; at++ {
		m.sums[at%meterSeconds] = 0
	}
	m.second = max(m.second, second)
}

// rate leaves out the second that is not over, unless it is the only one.
func (m *meter) rate(now time.Time) int64 {
	m.advance(now)
	seconds := min(m.second-m.begun, meterSeconds-1)
	if seconds <= 0 {
		return m.sums[m.second%meterSeconds]
	}
	var sum int64
	for at := m.second - seconds; at < m.second; at++ {
		sum += m.sums[at%meterSeconds]
	}
	return sum / seconds
}

// Memory is what a sender remembers over batches: hashes, so that a segment is
// not read again to be offered again, and what home has refused, so that it is
// not offered each time. All of it may be lost at any time.
type Memory struct {
	mu      sync.Mutex
	objects map[understudy.SegmentID]object
	held    map[understudy.SegmentID]time.Time // until when
	told    map[understudy.SegmentID]string
	since   map[object]time.Time // home's receipts: when the first one came
}

// holdFor is how long a segment that home refused is not offered again.
const holdFor = 10 * time.Minute

func (m *Memory) isHeld(id understudy.SegmentID, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.held[id])
}

func (m *Memory) hold(id understudy.SegmentID, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[understudy.SegmentID]time.Time{}
	}
	m.held[id] = until
}

// object returns what a segment is offered as, read back from the disk unless that was done before.
func (m *Memory) object(source Source, id understudy.SegmentID) (object, bool) {
	m.mu.Lock()
	o, ok := m.objects[id]
	m.mu.Unlock()
	if ok {
		return o, true
	}
	size, sum, ok := source.Has(id)
	if !ok {
		return o, false
	}
	o = object{Segment: id, Size: size, SHA256: sum}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[understudy.SegmentID]object{}
	}
	m.objects[id] = o
	return o, true
}

// doubt forgets a hash: the bytes may not be those any more.
func (m *Memory) doubt(id understudy.SegmentID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, id)
}

// only forgets all other segments.
func (m *Memory) only(segments []understudy.Segment) {
	there := make(map[understudy.SegmentID]bool, len(segments))
	for _, s := range segments {
		there[s.ID] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.objects, func(id understudy.SegmentID, _ object) bool { return !there[id] })
	maps.DeleteFunc(m.held, func(id understudy.SegmentID, _ time.Time) bool { return !there[id] })
	maps.DeleteFunc(m.since, func(o object, _ time.Time) bool { return !there[o.Segment] })
	maps.DeleteFunc(m.told, func(id understudy.SegmentID, _ string) bool { return !there[id] })
}

// acknowledged returns when home's store first said that it has a segment: a
// grace that a lost connection interrupts does not begin anew.
func (m *Memory) acknowledged(o object, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if first, ok := m.since[o]; ok {
		return first
	}
	if m.since == nil {
		m.since = map[object]time.Time{}
	}
	m.since[o] = now
	return now
}

// News reports whether a sentence about a segment has not been told yet.
func (m *Memory) News(id understudy.SegmentID, sentence string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.told[id] == sentence {
		return false
	}
	if m.told == nil {
		m.told = map[understudy.SegmentID]string{}
	}
	m.told[id] = sentence
	return true
}
